"""assess: is an image fit to be read, by a person or a model?"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Scores
from tools.verbs.later import NO_METHOD, not_yet


@tool(cost=Cost(seconds=10), unavailable=NO_METHOD, examples=examples_of("assess"))
def assess(ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image to assess")]) -> Scores:
    """Rate an image's technical quality: noise, blur, motion, exposure, field of view, fitness for the models."""
    not_yet("assess")
