"""register: bring one image into the space of another."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, Transform, not_yet

Kind = Literal["rigid", "affine", "deformable"]


@tool(cost=Cost(seconds=60), unavailable=NO_METHOD, examples=examples_of("register"))
def register(
    ctx: ToolContext,
    fixed: Annotated[ImageRef, Field(description="the image that stays")],
    moving: Annotated[ImageRef, Field(description="the image that is brought into the other's space")],
    kind: Annotated[Kind, Field(description="how the moving image may change")] = "rigid",
) -> Transform:
    """Align one image with another: transform, resampled image and quality of the match."""
    not_yet("register")
