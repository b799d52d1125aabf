"""Where in its evidence a sentence that somebody else wrote is to be seen: regions of images, spans of reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.grounding.evidence import Evidence, LookUp, names_of
from tools.grounding.judge import judge
from tools.grounding.lookup import of_report
from tools.grounding.statement import Statement, names_in, read_statement
from tools.places import Place, Span

if TYPE_CHECKING:
    from tools.workspace import Workspace

MAX_PLACES = 25  # a sentence that is to be seen in more places is seen in its whole evidence


@dataclass(frozen=True)
class _Line:
    """One sentence of a report, with where it stands and what it holds."""

    span: Span
    evidence: Evidence


@dataclass(frozen=True)
class Spotter:
    """Says where in evidence a sentence is to be seen; each piece of evidence is read once."""

    workspace: Workspace
    look_up: LookUp
    _regions: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    _lines: dict[str, tuple[_Line, ...]] = field(default_factory=dict)

    def places(self, text: str, evidence: Sequence[str]) -> tuple[Place, ...]:
        """Return where a sentence is to be seen; nothing where its evidence does not say.

        Args:
            text: the sentence.
            evidence: ids of what it was compared with.
        """
        found = [e for i in evidence if (e := self.look_up(i)) is not None]
        statement = read_statement(text, names_of(found))
        places = dict.fromkeys(p for e in found for p in self._in(e, text, statement))
        return tuple(places)[:MAX_PLACES]

    def _in(self, evidence: Evidence, text: str, statement: Statement) -> Iterator[Place]:
        if evidence.source == "artifact":
            meant = names_in(statement)
            for place in self._of_result(evidence.id):
                if place.region and (not place.region.target or place.region.target in meant):
                    yield place
        elif evidence.source == "other report":
            yield from _quoted(evidence, statement)
        elif evidence.source == "own report":
            yield from self._of_report(evidence, text, statement)

    def _of_result(self, step: str) -> tuple[Place, ...]:
        from tools.claims import claims_of

        if step not in self._regions:
            claims = claims_of(self.workspace.artifact(step))
            self._regions[step] = tuple(dict.fromkeys(p for c in claims for p in c.where if p.evidence == step))
        return self._regions[step]

    def _of_report(self, evidence: Evidence, text: str, statement: Statement) -> Iterator[Place]:
        """Yield the sentence that says the same; without one, those that speak of the same findings."""
        if evidence.id not in self._lines:
            self._lines[evidence.id] = tuple(_lines(evidence))
        lines = self._lines[evidence.id]
        findings = {m.finding for m in statement.mentions}
        about = [line for line in lines if findings & {a.finding for a in line.evidence.assertions}]
        same = [line for line in (about or lines) if judge(text, [line.evidence]).verdict == "supported"]
        for line in same[:1] or about:
            yield Place(evidence=evidence.id, span=line.span)


def _quoted(evidence: Evidence, statement: Statement) -> Iterator[Place]:
    for quote in statement.quotes:
        start = evidence.text.find(quote)
        if start >= 0 and quote:
            yield Place(evidence=evidence.id, span=Span(report=evidence.id, start=start, end=start + len(quote)))


def _lines(evidence: Evidence) -> Iterator[_Line]:
    for span in spans_of(evidence.id, evidence.text):
        yield _Line(span, of_report(evidence.id, evidence.text[span.start : span.end]))


def spans_of(report: str, text: str) -> Iterator[Span]:
    """Yield where the sentences of a report stand, without its headings."""
    from knowledge.sentences import split_sections, split_sentences

    for section in split_sections(text):
        for start, end in split_sentences(text, section.start, section.end):
            yield Span(report=report, section=section.name, start=start, end=end)
