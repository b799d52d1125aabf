"""find_studies: which studies a PACS holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ToolContext, tool
from tools.examples import examples_of
from tools.pacs.client import MAX_STUDIES, query_of
from tools.results import Studies, StudyRow


@tool(cost=Cost(seconds=3), timeout_s=60, examples=examples_of("find_studies"))
def find_studies(
    ctx: ToolContext,
    patient: Annotated[str | None, Field(description="PatientID")] = None,
    date: Annotated[str | None, Field(description="StudyDate as YYYY-MM-DD, or a range with '/'")] = None,
    modality: Annotated[str | None, Field(description="DICOM modality code: CT, MR, CR, …")] = None,
    server: Annotated[str | None, Field(description="which PACS, where several are set up")] = None,
) -> Studies:
    """List studies of a PACS by patient, date or modality; at least one of them.

    The patient's name is not asked for. What is found stays on this machine: the summary holds counts only.

    Raises:
        BadInputError: nothing to look for, a date or modality that is none, no such server.
        UnavailableError: no PACS is set up, or it is down, slow, refuses us or answers with garbage; says which.
    """
    query = query_of(patient, date, modality)
    pacs = ctx.open_pacs(server)
    ctx.progress(0.1, f"asking {pacs.name}")
    found = sorted(pacs.find(query, MAX_STUDIES + 1), key=lambda row: (row.date, row.study_uid), reverse=True)
    notes = ["Dates, ids and descriptions are as the PACS has them; descriptions are free text."] if found else []
    if len(found) > MAX_STUDIES:
        found = found[:MAX_STUDIES]
        notes.append(f"There are more than {MAX_STUDIES} studies; these are not all. Narrow the date or the modality.")
    return Studies(summary=_summary(found, pacs.name), notes=tuple(notes), server=pacs.name, studies=tuple(found))


def _summary(found: Sequence[StudyRow], server: str) -> str:
    if not found:
        return f"The PACS {server} holds no study that matches."
    kinds = Counter(m for row in found for m in row.modalities)
    listed = ", ".join(f"{count} with {kind}" for kind, count in kinds.most_common(6))
    many = "study" if len(found) == 1 else "studies"
    return f"Found {len(found)} {many} on the PACS {server}{f': {listed}' if listed else ''}."
