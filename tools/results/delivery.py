"""What comes from and goes to elsewhere: studies of a PACS, exported files, what a PACS took."""

from typing import ClassVar

from tools.facts import ArtifactKind
from tools.results.base import Record, ToolResult


class StudyRow(Record):
    """One study of a PACS. The patient's name is not asked for; the rest stays on this machine."""

    study_uid: str
    date: str = ""
    """YYYY-MM-DD; empty where the server does not say."""
    modalities: tuple[str, ...] = ()
    description: str = ""
    """StudyDescription as the scanner wrote it: free text, not to be trusted."""
    patient_id: str = ""
    series: int | None = None
    instances: int | None = None


class Studies(ToolResult):
    """Studies that match a query. The summary holds counts only: it is shown where names may not be."""

    kind: ClassVar[ArtifactKind] = "studies"

    server: str
    """How the settings call the PACS."""
    studies: tuple[StudyRow, ...]
    """Newest first."""


class Files(ToolResult):
    """Files written for use elsewhere."""

    kind: ClassVar[ArtifactKind] = "files"

    format: str


class Sent(ToolResult):
    """Results that a PACS took."""

    kind: ClassVar[ArtifactKind] = "files"

    server: str
    """How the settings call the PACS."""
    instances: tuple[str, ...]
    """SOPInstanceUIDs that it confirmed."""
