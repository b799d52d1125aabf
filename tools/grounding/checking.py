"""Compares the sentences of a report with what a reading holds, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tools.grounding.evidence import Evidence, LookUp, names_of
from tools.grounding.judge import Judgement, judge
from tools.grounding.lookup import evidence_in
from tools.grounding.passages import Passage
from tools.grounding.statement import names_in, read_statement
from tools.grounding.structures import expand
from tools.results import Hits

if TYPE_CHECKING:
    from knowledge.search import Knowledge
    from tools.workspace import Workspace

MAX_IDS = 40  # a sentence that cites more is listing, not citing


@dataclass(frozen=True)
class Checker:
    """Says of sentences whether the evidence supports them; each piece of evidence is read once."""

    look_up: LookUp
    own: Sequence[str]
    """Ids of this patient's evidence."""
    others: Sequence[str]
    """Ids of the reports of other patients that this reading found."""

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        open_knowledge: Callable[[], Knowledge],
        report: str,
        evidence: Sequence[str] | None = None,
    ) -> Self:
        """Return a checker of a report.

        Args:
            workspace: the reading.
            open_knowledge: opens the stored reports.
            report: id of the report; it is no evidence of itself.
            evidence: ids to check against; None: all that there are.
        """
        ids = evidence or [a.id for a in workspace.artifacts()] + list(workspace.facts())
        own: list[str] = []
        others: list[str] = []
        for evidence_id in dict.fromkeys(ids):
            kind = workspace.kind_of(evidence_id)
            if evidence_id == report or kind in ("verdicts", "files") or (kind == "report" and not evidence):
                continue
            own.append(evidence_id)
            if kind == "hits":
                others += [h.report_id for h in workspace.result(evidence_id, Hits).hits]
        return cls(evidence_in(workspace, open_knowledge), own, list(dict.fromkeys(others)))

    def judge(self, passage: Passage, *, has_ids: bool) -> Judgement:
        """Return the verdict on one sentence.

        Args:
            passage: the sentence.
            has_ids: whether the report names sources; a sentence that states something without one is then not covered.
        """
        if passage.cited:
            return self._cited(passage)
        statement = read_statement(passage.text)
        everything = self._held(self.own)
        if statement.quotes:
            return judge(passage.text, self._held(self.others) + [e for e in everything if e.text])
        judged = judge(passage.text, everything)
        if judged.verdict != "supported":
            about = _about(passage.text, everything) if judged.verdict == "contradicted" else ()
            return Judgement(judged.verdict, judged.reason, about)
        if not statement.states_something:
            return judged if not everything else Judgement("supported", "", ())
        single = [e for e in everything if judge(passage.text, [e]).verdict == "supported"]
        ids = tuple(e.id for e in single[:3])
        if has_ids and not statement.not_examined:
            hint = f"; {', '.join(ids)} would support it" if ids else ""
            return Judgement("not covered", f"it names no source, as the other sentences do{hint}", ids)
        return Judgement("supported", "", ids or judged.evidence)

    def _cited(self, passage: Passage) -> Judgement:
        found = []
        for evidence_id in passage.cited[:MAX_IDS]:
            evidence = self.look_up(evidence_id)
            if evidence is None:
                return Judgement("not covered", f"it cites {evidence_id!r}, which does not exist")
            found.append(evidence)
        if len(passage.cited) > MAX_IDS:
            return Judgement("not covered", f"it cites {len(passage.cited):,} sources; at most {MAX_IDS} are compared")
        return judge(passage.text, found)

    def _held(self, ids: Sequence[str]) -> list[Evidence]:
        return [e for i in ids if (e := self.look_up(i)) is not None]


def _about(text: str, found: Sequence[Evidence]) -> tuple[str, ...]:
    """Return the ids of the first pieces of evidence that are of a structure which a sentence names."""
    named = names_in(read_statement(text, names_of(found)))
    return tuple(e.id for e in found if named & expand(e.targets))[:3]
