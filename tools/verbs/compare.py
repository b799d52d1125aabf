"""compare: what changed between a study and its prior."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.verbs.later import NO_METHOD, Change, not_yet


@tool(cost=Cost(seconds=120), unavailable=NO_METHOD, examples=examples_of("compare"))
def compare(
    ctx: ToolContext,
    current: Annotated[ImageRef, Field(description="the study of today")],
    prior: Annotated[ImageRef, Field(description="the earlier study")],
    targets: Annotated[list[str] | None, Field(description="structures to compare; none: whatever can be")] = None,
) -> Change:
    """Compare a study with its prior: aligned volumes, measurements, new and resolved findings."""
    not_yet("compare")
