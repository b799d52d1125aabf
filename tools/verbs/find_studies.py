"""find_studies: which studies a PACS holds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ToolContext, tool
from tools.examples import examples_of
from tools.results import Text
from tools.verbs.later import NO_PACS, not_yet


@tool(cost=Cost(seconds=3), timeout_s=60, unavailable=NO_PACS, examples=examples_of("find_studies"))
def find_studies(
    ctx: ToolContext,
    patient: Annotated[str | None, Field(description="PatientID")] = None,
    date: Annotated[str | None, Field(description="StudyDate as YYYY-MM-DD, or a range with '/'")] = None,
    modality: Annotated[str | None, Field(description="DICOM modality code: CT, MR, CR, …")] = None,
) -> Text:
    """List studies of a PACS (DICOMweb) by patient, date or modality."""
    not_yet("find_studies")
