"""find_similar: stored images that look like this one, with their reports."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, SimilarImages, not_yet


@tool(cost=Cost(seconds=5), unavailable=NO_METHOD, examples=examples_of("find_similar"))
def find_similar(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to compare with")],
    k: Annotated[int, Field(ge=1, le=50, description="how many images to return")] = 5,
) -> SimilarImages:
    """Find stored images that look like this one, with their reports."""
    not_yet("find_similar")
