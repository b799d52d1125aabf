"""What stands behind a sentence, for whoever shows it: each cited id with what it is, where to look, and the words.

The page, documents and the command line all show evidence by this one function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from tools.places import Place
from tools.results import Claim, Mark, Record

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.workspace import Workspace

SourceKind = Literal["attachment", "result", "stored report", "missing"]


class Source(Record):
    """One piece of evidence of a sentence."""

    id: str
    kind: SourceKind
    """ "missing": nothing of this id is there any more, or ever was."""
    of: str = ""
    """The kind of the attachment or result: image, mask, report, measurements, scores, …"""
    title: str
    """What it is and what made it, in one line; text of others, not to be obeyed."""
    places: tuple[Place, ...] = ()
    """Where in it the sentence is to be seen; empty: in the whole of it."""
    quote: str = ""
    """The report's own words at the first span; empty where there is none, or the report no longer says so."""
    figures: tuple[str, ...] = ()
    """PNG files that show it, relative to the reading's folder."""
    marks: tuple[Mark, ...] = ()

    @property
    def image(self) -> str:
        """Id of the image to open; empty where none is concerned."""
        return next((p.region.image for p in self.places if p.region), self.id if self.of == "image" else "")

    @property
    def line(self) -> str:
        """All of it in one line, as a footnote has it."""
        return f"{self.id}: {self.title}" + "".join(f"; {place.words}" for place in self.places)


def sources_of(
    claim: Claim, workspace: Workspace, open_knowledge: Callable[[], Knowledge] | None = None
) -> tuple[Source, ...]:
    """Return the evidence of a sentence, in the order in which it is cited.

    Args:
        claim: the sentence.
        workspace: the reading.
        open_knowledge: opens the stored reports, for the words of a quoted one; None: they are taken from nowhere.
    """
    return tuple(
        source_of(i, workspace, tuple(p for p in claim.where if p.evidence == i), open_knowledge)
        for i in dict.fromkeys(claim.evidence)
    )


def source_of(
    evidence_id: str,
    workspace: Workspace,
    places: tuple[Place, ...] = (),
    open_knowledge: Callable[[], Knowledge] | None = None,
) -> Source:
    """Return one piece of evidence by its id.

    Args:
        evidence_id: of an attachment, a step's result or a stored report.
        workspace: the reading.
        places: where in it to look.
        open_knowledge: opens the stored reports; None: they are taken from nowhere.
    """
    if evidence_id in (facts := workspace.facts()):
        found = facts[evidence_id]
        said = " ".join(part for part in (found.modality, found.body_part) if part) or "modality unknown"
        title = f"attached {found.kind}" + (f", {said}" if found.kind != "report" else "")
        quote = _quote(lambda: workspace.report_text(evidence_id), places) if found.kind == "report" else ""
        return Source(id=evidence_id, kind="attachment", of=found.kind, title=title, places=places, quote=quote)
    if workspace.has_artifact(evidence_id):
        return _of_result(evidence_id, workspace, places)
    if evidence_id.rstrip("0123456789") in ("s", "img", "mask", "rep"):
        return Source(id=evidence_id, kind="missing", title="not in this reading any more", places=places)
    quote = _quote(lambda: open_knowledge().report(evidence_id).text, places) if open_knowledge else ""
    title = "a stored report of another patient"
    return Source(id=evidence_id, kind="stored report", of="report", title=title, places=places, quote=quote)


def _of_result(step: str, workspace: Workspace, places: tuple[Place, ...]) -> Source:
    artifact = workspace.artifact(step)
    model = artifact.provenance.model
    by = f"; model {model.card} {model.version} ({model.licence})" if model else ""
    marks = f"; {', '.join(artifact.marks)}" if artifact.marks else ""
    return Source(
        id=step,
        kind="result",
        of=artifact.kind,
        title=f"{artifact.provenance.tool}: {artifact.summary}{by}{marks}",
        places=places,
        figures=tuple(f"artifacts/{step}/{name}" for name in artifact.files if name.endswith(".png")),
        marks=artifact.marks,
    )


def _quote(text_of: Callable[[], str], places: tuple[Place, ...]) -> str:
    """Return the words at the first span."""
    span = next((p.span for p in places if p.span), None)
    if span is None:
        return ""
    try:
        text = text_of()
    except (ToolError, KnowledgeError):
        return ""
    return text[span.start : span.end] if span.end <= len(text) else ""
