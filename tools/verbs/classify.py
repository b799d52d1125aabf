"""classify: which findings an image shows, as scores with their operating points."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Scores
from tools.verbs.later import NO_RUNTIME, needs_model, not_yet


@tool(
    precheck=needs_model("classify", "labels"),
    cost=Cost(seconds=5),
    unavailable=NO_RUNTIME,
    examples=examples_of("classify"),
)
def classify(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to classify")],
    labels: Annotated[list[str] | None, Field(description="findings to score; none: all that the model knows")] = None,
) -> Scores:
    """Say how likely findings are in an image: a score per label, with operating point and "none of these"."""
    not_yet("classify")
