"""The typed result of a comparison of two studies."""

from typing import ClassVar, Literal

from tools.facts import ArtifactKind
from tools.places import Region, Span
from tools.results import Record, ToolResult

CHANGE_MASKS = {"gained": "gained.nii.gz", "lost": "lost.nii.gz"}
"""Files of a comparison of volumes: what the structures gained and lost, on the grid of the later study."""

ChangeStatus = Literal["new", "changed", "unchanged", "resolved"]


class ChangeRow(Record):
    """One quantity of one structure in two studies."""

    target: str
    quantity: str
    status: ChangeStatus
    current: float | None = None
    """None where a study does not show it."""
    prior: float | None = None
    unit: str
    difference: float | None = None
    """Later minus earlier."""
    percent: float | None = None
    """Of the earlier value; None where that means nothing."""
    uncertainty: float | None = None
    """± of the difference, as far as the boundaries of both masks say."""
    limit: float | None = None
    """Least difference that counts as changed."""
    rule: str
    """Who says so."""
    current_source: str
    prior_source: str
    current_where: Region | None = None
    """Where the structure is best seen in either study; None where it is not seen, or a report speaks of it."""
    prior_where: Region | None = None
    prior_span: Span | None = None
    """Where an earlier report states it."""


class Quote(Record):
    """A sentence of a report that states a change in words."""

    sentence: str
    says: ChangeStatus
    where: Span
    """In which report, and where in it."""


class Change(ToolResult):
    """What changed between two studies of one patient; every row names both."""

    kind: ClassVar[ArtifactKind] = "change"

    current: str
    prior: str
    """An image, an attached report, or an earlier result."""
    current_date: str = ""
    """Study date as its header has it, 2026-01-31; empty where it does not say."""
    prior_date: str = ""
    found: str = ""
    """Where the prior came from and why it was chosen; empty where a person named it."""
    rows: tuple[ChangeRow, ...]
    """Empty where nothing could be measured in both: the summary then says what there is instead."""
    quoted: tuple[Quote, ...] = ()
    """What a report given as the prior says of change itself: up to its own study, not up to the current one."""
