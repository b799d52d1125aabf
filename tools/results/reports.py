"""Reports: sentences found, drafted and checked, each with its evidence."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tools.facts import ArtifactKind
from tools.places import Place, Span
from tools.results.base import Record, ToolResult


class ReportHit(Record):
    """One sentence of a stored report that matches a query."""

    report_id: str
    section: str
    sentence: str
    start: int
    """Offset of the sentence's first character in the report's text."""
    end: int
    score: float
    why: str
    """Why it matched, in a few words."""
    source: str = ""
    """The collection that the report comes from."""


class Hits(ToolResult):
    """Reports of *other* patients that match a query."""

    kind: ClassVar[ArtifactKind] = "hits"

    query: str
    hits: tuple[ReportHit, ...]


ClaimKind = Literal[
    "measured", "described", "model score", "model opinion", "quoted", "general", "not examined", "by a person"
]


class Claim(Record):
    """One sentence with what it rests on."""

    text: str = Field(min_length=1)
    evidence: tuple[str, ...] = ()
    """Ids of artifacts (s2), attachments (img1) or stored reports (CXR1234)."""
    kind: ClaimKind
    where: tuple[Place, ...] = ()
    """Where in its evidence it is to be seen; each belongs to one of `evidence`. Empty: in the whole of it."""
    note: str = Field(default="", exclude_if=lambda note: not note)
    """What a reader of a copy must know of it: that a person wrote it, and what the evidence says of it."""

    @property
    def shown(self) -> str:
        """The sentence as every copy shows it: with its note."""
        return f"{self.text} [{self.note}]" if self.note else self.text

    @model_validator(mode="after")
    def _places_are_cited(self) -> Self:
        if strange := {p.evidence for p in self.where} - set(self.evidence):
            raise ValueError(f"where must name evidence that is cited, got {sorted(strange)}")
        return self


class Draft(ToolResult):
    """A structured draft report: research use, to be read and signed by a person."""

    kind: ClassVar[ArtifactKind] = "report"

    technique: tuple[Claim, ...] = ()
    findings: tuple[Claim, ...] = ()
    impression: tuple[Claim, ...] = ()
    similar: tuple[Claim, ...] = ()
    """Sentences quoted from reports of other patients; never findings of this one."""
    limitations: tuple[Claim, ...] = ()
    worded_by: str = "template"
    """ "template", or the LLM that worded it."""
    held_back: tuple[str, ...] = ()
    """Sentences that their evidence does not support, each with the reason."""
    thrown_away: tuple[str, ...] = ()
    """What a language model wrote that was not used, each with the reason; the template's sentence stands instead."""

    def claims(self) -> tuple[Claim, ...]:
        """Return every sentence in reading order."""
        return self.technique + self.findings + self.impression + self.similar + self.limitations


class SentenceVerdict(Record):
    """What the evidence says of one sentence of a report."""

    text: str
    section: str = ""
    verdict: Literal["supported", "contradicted", "not covered"]
    reason: str = ""
    """Why it is not supported; empty where it is."""
    evidence: tuple[str, ...] = ()
    """What it was compared with, by id."""
    where: tuple[Place, ...] = ()
    """Where in that evidence it is to be seen; each belongs to one of `evidence`. Empty: in the whole of it."""
    span: Span | None = None
    """Where in the report it stands; None for a draft of this reading, which is sentences and no text."""


class Verdicts(ToolResult):
    """A report's sentences, each against the evidence of this reading."""

    kind: ClassVar[ArtifactKind] = "verdicts"

    report: str
    rows: tuple[SentenceVerdict, ...]
