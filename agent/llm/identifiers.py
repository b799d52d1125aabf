"""What the attachments of the open readings say of their patients: names, numbers, dates that must not leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tools.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from tools.workspace import Attachment, Workspace

KEYWORDS = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName",
    "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber", "StudyID",
    "MedicalRecordLocator", "ReferringPhysicianName", "RequestingPhysician", "PerformingPhysicianName",
    "OperatorsName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "InstitutionName", "InstitutionAddress",
    "StationName", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AdmissionID", "EthnicGroup",
    "ResponsiblePerson", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
)  # fmt: skip
"""After DICOM PS3.15, table E.1-1: what says who, where or when."""
MIN_CHARACTERS = 3  # a shorter value, as the study id "1", would hide ordinary words


class Identifiers:
    """Reads each attachment once, when something is first about to leave.

    Args:
        workspaces: the open readings by id; looked at anew with each call.
    """

    def __init__(self, workspaces: Mapping[str, Workspace]) -> None:
        self._workspaces = workspaces
        self._read: dict[Path, tuple[str, ...]] = {}

    def __call__(self) -> tuple[str, ...]:
        """Return every identifier known, longest first."""
        found: set[str] = set()
        for workspace in list(self._workspaces.values()):
            for attachment in workspace.attachments():
                path = workspace.root / "attachments" / attachment.id
                if path not in self._read:
                    self._read[path] = tuple(identifiers_of(workspace, attachment))
                found.update(self._read[path])
        return tuple(sorted(found, key=lambda text: (-len(text), text)))


def identifiers_of(workspace: Workspace, attachment: Attachment) -> Iterator[str]:
    """Yield what an attachment's header and its file's name say of the patient."""
    stem = attachment.file.split(".")[0]
    if any(character.isdigit() for character in stem) or "_" in stem or "^" in stem:
        yield stem  # scan.nii.gz is nobody's name, DOE_JANE_4711.nii.gz is
    if attachment.facts.kind != "image":
        return
    try:
        headers, _ = workspace.dicom_headers(attachment.id)
    except (ToolError, OSError):
        return
    for header in headers[:1]:
        for keyword in KEYWORDS:
            for value in _values(header.get(keyword)):
                if len(value) >= MIN_CHARACTERS:
                    yield value


def _values(value: object) -> Iterator[str]:
    if value is None:
        return
    from pydicom.multival import MultiValue

    parts = [str(part) for part in value] if isinstance(value, MultiValue | list | tuple) else [str(value)]
    for part in parts:
        yield part.strip()
        if len(part) == 8 and part.isdigit():  # DICOM's 19700131, as a person writes it
            yield f"{part[:4]}-{part[4:6]}-{part[6:]}"
