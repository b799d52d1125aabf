"""explain: why a model found something, and where."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, Explanation, needs_model, not_yet


@tool(
    precheck=needs_model("classify", "finding"),
    cost=Cost(seconds=20),
    unavailable=NO_METHOD,
    examples=examples_of("explain"),
)
def explain(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image in which it was found")],
    finding: Annotated[str, Field(description="the finding to explain")],
) -> Explanation:
    """Show where and why a model found something: heat map, occlusion, counterfactual."""
    not_yet("explain")
