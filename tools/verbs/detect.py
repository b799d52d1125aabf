"""detect: every instance of a target, as boxes or points with scores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Boxes
from tools.verbs.later import NO_RUNTIME, needs_model, not_yet


@tool(
    precheck=needs_model("detect", "target"),
    cost=Cost(seconds=60),
    unavailable=NO_RUNTIME,
    examples=examples_of("detect"),
)
def detect(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to search")],
    target: Annotated[str, Field(description="what to find: nodule, fracture, …")],
) -> Boxes:
    """Find every instance of a target, such as lung nodules, and say where each is, with its score."""
    not_yet("detect")
