"""Which study on a PACS is the prior of one that is attached: asked by PatientID, proved by what its images say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.comparison.films import FILMS
from tools.comparison.prior import Study, is_alike, study_of
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.pacs.client import MAX_STUDIES, Pacs, StudyQuery

if TYPE_CHECKING:
    from tools.results import StudyRow
    from tools.workspace import Workspace


@dataclass(frozen=True)
class Wanted:
    """What a prior must match."""

    patient_id: str
    """As the header has it: it goes to the PACS and nowhere else."""
    study: Study
    facts: AttachmentFacts

    @classmethod
    def of(cls, workspace: Workspace, image: str) -> Wanted:
        """Return what the prior of an attached image must match.

        Raises:
            UnsupportedError: the image does not say whose it is, of when, or what; says which.
        """
        headers, _ = workspace.dicom_headers(image)
        who = str(headers[0].get("PatientID", "") or "").strip() if headers else ""
        study = study_of(workspace.image_file(image)[0])
        facts = workspace.image_facts(image)
        known = (("PatientID", who), ("StudyDate", study.when[0]), ("Modality", facts.modality))
        if missing := [name for name, value in known if not value]:
            raise UnsupportedError(
                f"prior_of: {image} does not say its {' or '.join(missing)}, by which its prior would be found: "
                "name the study by its uid"
            )
        return cls(who, study, facts)

    @property
    def date(self) -> str:
        """StudyDate as 2026-01-31."""
        return self.study.date

    @property
    def modality(self) -> str:
        """DICOM code."""
        return self.facts.modality

    def refusal(self, folder: Path) -> str:
        """Return why what was received is not this patient's, or ""."""
        other = study_of(folder)
        if not other.patient.is_surely(self.study.patient):
            return "its images do not say the same name or birth date beside the PatientID"
        return ""

    def matches(self, facts: AttachmentFacts) -> bool:
        """Return whether a series is of the same kind."""
        return is_alike(facts, self.facts)


def candidates(pacs: Pacs, wanted: Wanted) -> list[StudyRow]:
    """Return the earlier studies of a patient and modality, newest first."""
    day = wanted.study.when[0]
    codes = sorted(FILMS) if wanted.modality in FILMS else [wanted.modality]
    found: dict[str, StudyRow] = {}
    for code in codes:
        for row in pacs.find(StudyQuery(wanted.patient_id, f"-{day}", code), MAX_STUDIES):
            is_own = row.study_uid == wanted.study.uid or row.patient_id.strip() != wanted.patient_id
            if not is_own and row.date and row.date < wanted.date:
                found[row.study_uid] = row
    return sorted(found.values(), key=lambda row: (row.date, row.study_uid), reverse=True)
