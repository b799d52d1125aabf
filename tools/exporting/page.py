"""A result as a document: headings, sentences with numbered evidence, tables and pictures, in no format yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.changes import Change, ChangeRow
from tools.claims import readable, shown, shown_with_uncertainty
from tools.errors import UnsupportedError
from tools.results import Claim, Draft, Measurements
from tools.sources import source_of, sources_of
from tools.verbs.draft_markdown import NOTICE
from tools.workspace import Artifact, Workspace

MAX_PICTURES = 12
_SECTIONS = (
    ("Technique", "technique"),
    ("Findings", "findings"),
    ("Impression", "impression"),
    ("Similar reports (other patients)", "similar"),
    ("Limitations", "limitations"),
)


@dataclass(frozen=True)
class Sentence:
    """One sentence and the numbers of its evidence in the list at the end, which every format links to."""

    text: str
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading with sentences, or with a table whose first row is its head."""

    title: str
    sentences: tuple[Sentence, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Page:
    """A document before it has a format."""

    title: str
    notice: str
    byline: str
    sections: tuple[Section, ...]
    evidence: tuple[str, ...] = ()
    """What the numbers stand for, from 1."""
    pictures: tuple[tuple[Path, str], ...] = ()
    marks: tuple[str, ...] = field(default=())


def page_of(workspace: Workspace, artifact_id: str) -> Page:
    """Return a draft or a table of measurements as a document.

    Raises:
        UnsupportedError: another kind of result.
    """
    artifact = workspace.artifact(artifact_id)
    if artifact.kind == "report":
        return _draft_page(workspace, artifact)
    if artifact.kind == "measurements":
        return _table_page(workspace, artifact)
    if artifact.kind == "change":
        return _change_page(workspace, artifact)
    raise UnsupportedError(
        f"{artifact_id} is of kind {artifact.kind}; documents hold reports, measurements and comparisons: "
        "choose png, csv or json"
    )


def text_page(name: str, text: str) -> Page:
    """Return a report that a person brought as a document, word for word."""
    paragraphs = tuple(Sentence(line.strip()) for line in text.splitlines() if line.strip())
    return Page(
        title=f"Report {name}",
        notice="An attached report, copied word for word; nothing in it was checked here. " + NOTICE,
        byline="Attached by the person.",
        sections=(Section("Text", paragraphs),),
    )


def _draft_page(workspace: Workspace, artifact: Artifact) -> Page:
    draft = Draft.model_validate(artifact.data)
    notes = _Notes(workspace)
    sections = []
    for title, name in _SECTIONS:
        claims: tuple[Claim, ...] = getattr(draft, name)
        if claims:
            sections.append(Section(title, tuple(Sentence(c.shown, notes.of(c)) for c in claims)))
    if draft.held_back:
        sections.append(Section("Held back", tuple(Sentence(text) for text in draft.held_back)))
    ids = list(dict.fromkeys(i for claim in draft.claims() for i in claim.evidence))
    by = "Composed from templates" if draft.worded_by == "template" else f"Worded by {draft.worded_by}"
    if any(c.kind == "by a person" for c in draft.claims()):
        by += ", then edited by a person: what the evidence says of those sentences stands behind them"
    return Page(
        title="Draft report",
        notice=NOTICE,
        byline=f"{by}; every sentence names its evidence. Made by Reading Room, step {artifact.id}.",
        sections=tuple(sections),
        evidence=tuple(notes.lines),
        pictures=_pictures(workspace, ids),
        marks=artifact.marks,
    )


class _Notes:
    """The numbered evidence of a document: one number for each id and place, in the order in which they are cited."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.lines: list[str] = []

    def of(self, claim: Claim) -> tuple[int, ...]:
        """Return the numbers of a sentence's evidence; new evidence gets a new one."""
        numbers = []
        for source in sources_of(claim, self._workspace):
            if source.line not in self.lines:
                self.lines.append(source.line)
            numbers.append(self.lines.index(source.line) + 1)
        return tuple(numbers)


def _table_page(workspace: Workspace, artifact: Artifact) -> Page:
    rows = Measurements.model_validate(artifact.data).rows
    head = ("Structure", "Quantity", "Value", "Image", "Mask", "Millimetres from", "Method")
    table = [
        (
            readable(r.target),
            r.quantity.replace("_", " "),
            shown_with_uncertainty(r),
            r.image,
            r.mask,
            r.spacing_source or "–",
            r.method,
        )
        for r in rows
    ]
    sources = list(dict.fromkeys(i for r in rows for i in (r.image, r.mask) if i))
    return Page(
        title="Measurements",
        notice=NOTICE,
        byline=f"{artifact.summary} Made by Reading Room, step {artifact.id}.",
        sections=(Section("Measurements", table=(head, *table)),),
        evidence=tuple(source_of(i, workspace).line for i in sources),
        pictures=_pictures(workspace, sources),
        marks=artifact.marks,
    )


def _change_page(workspace: Workspace, artifact: Artifact) -> Page:
    change = Change.model_validate(artifact.data)
    head = ("Structure", "Quantity", "Now", "Prior", "Difference", "Verdict", "By which rule")
    table = [
        (
            readable(r.target),
            r.quantity.replace("_", " "),
            "–" if r.current is None else shown(r.current, r.unit),
            "–" if r.prior is None else shown(r.prior, r.unit),
            "–" if r.difference is None else _difference(r),
            r.status,
            r.rule,
        )
        for r in change.rows
    ]
    quoted = tuple(Sentence(f"{q.where.report} says: “{q.sentence}”") for q in change.quoted)
    sections = [Section("Change since the prior", table=(head, *table))] if table else []
    sections += [Section("Stated in the earlier report", quoted)] if quoted else []
    sections += [Section("Notes", tuple(Sentence(note) for note in artifact.data.get("notes", ())))]
    return Page(
        title="Comparison with the prior",
        notice=NOTICE,
        byline=f"{artifact.summary} Made by Reading Room, step {artifact.id}.",
        sections=tuple(sections),
        evidence=tuple(source_of(i, workspace).line for i in (change.current, change.prior)),
        pictures=_pictures(workspace, (artifact.id,)),
        marks=artifact.marks,
    )


def _difference(row: ChangeRow) -> str:
    spread = "" if row.uncertainty is None else f" ± {shown(row.uncertainty, row.unit)}"
    percent = "" if row.percent is None else f" ({row.percent:+.1f} %)"
    return f"{shown(row.difference or 0.0, row.unit)}{spread}{percent}"


def _pictures(workspace: Workspace, ids: Iterable[str]) -> tuple[tuple[Path, str], ...]:
    found = []
    for evidence_id in ids:
        if not evidence_id.startswith("s") or not workspace.has_artifact(evidence_id):
            continue
        artifact = workspace.artifact(evidence_id)
        folder = workspace.step_folder(evidence_id)
        found += [(folder / f, f"{evidence_id}: {artifact.summary}") for f in artifact.files if f.endswith(".png")]
    return tuple(found[:MAX_PICTURES])
