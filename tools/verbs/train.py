"""train: a new model card from a person's own labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, MaskRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, Copies, not_yet


@tool(
    cost=Cost(seconds=1200), timeout_s=7200, needs_approval=True, unavailable=NO_METHOD, examples=examples_of("train")
)
def train(
    ctx: ToolContext,
    examples: Annotated[list[MaskRef], Field(min_length=1, description="masks to learn from, each of its image")],
    target: Annotated[str, Field(description="what the new model shall segment")],
) -> Copies:
    """Train a segmentation model on the person's own labels and register it as a new model card."""
    not_yet("train")
