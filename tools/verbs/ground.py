"""ground: the region of an image that a phrase describes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Boxes
from tools.verbs.later import NO_RUNTIME, needs_model, not_yet


@tool(precheck=needs_model("ground"), cost=Cost(seconds=10), unavailable=NO_RUNTIME, examples=examples_of("ground"))
def ground(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to look in")],
    phrase: Annotated[str, Field(description="the words that describe the region")],
) -> Boxes:
    """Mark the region of an image that a phrase describes, as a box or mask."""
    not_yet("ground")
