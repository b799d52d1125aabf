"""landmarks: named points of the anatomy, in millimetres."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Points
from tools.verbs.later import NO_RUNTIME, needs_model, not_yet


@tool(
    precheck=needs_model("landmarks", "targets"),
    cost=Cost(seconds=20),
    unavailable=NO_RUNTIME,
    examples=examples_of("landmarks"),
)
def landmarks(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to look in")],
    targets: Annotated[
        list[str] | None, Field(description="names of the points; none: all that the model knows")
    ] = None,
) -> Points:
    """Find named anatomical points, such as the carina, and give their coordinates in mm."""
    not_yet("landmarks")
