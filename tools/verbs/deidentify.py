"""deidentify: a clean copy of an image, and what was removed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, Copies, not_yet


@tool(cost=Cost(seconds=10), unavailable=NO_METHOD, examples=examples_of("deidentify"))
def deidentify(ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image to clean")]) -> Copies:
    """Remove patient data from an image's header and pixels; gives a clean copy and says what was removed."""
    not_yet("deidentify")
