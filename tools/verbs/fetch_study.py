"""fetch_study: one study from a PACS into this reading."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ToolContext, tool
from tools.examples import examples_of
from tools.results import Image
from tools.verbs.later import NO_PACS, not_yet


@tool(cost=Cost(seconds=30), timeout_s=600, unavailable=NO_PACS, examples=examples_of("fetch_study"))
def fetch_study(
    ctx: ToolContext,
    uid: Annotated[str, Field(pattern=r"^\d+(\.\d+)+$", description="StudyInstanceUID")],
) -> Image:
    """Fetch one study from a PACS (DICOMweb) by its StudyInstanceUID."""
    not_yet("fetch_study")
