"""check_report: is what a report says supported by the evidence of this reading?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tools.contract import REF_PATTERN, AnyRef, Cost, Ref, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.grounding import Evidence, Judgement, LookUp, evidence_in, judge
from tools.grounding.passages import Passage, before_evidence, passages_of
from tools.grounding.statement import read_statement
from tools.results import Draft, Hits, SentenceVerdict, Verdicts
from tools.verbs.draft_markdown import EVIDENCE

ReportRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("report",))]
MAX_CHARACTERS = 500_000  # far above any report; a book would only keep the person waiting
MAX_IDS = 40  # a sentence that cites more is listing, not citing


@tool(cost=Cost(seconds=5), timeout_s=300, examples=examples_of("check_report"))
def check_report(
    ctx: ToolContext,
    report: Annotated[ReportRef, Field(description="the report or draft to check")],
    evidence: Annotated[
        list[AnyRef] | None, Field(description="results to check it against; none: all there are")
    ] = None,
) -> Verdicts:
    """Check a report's statements against the evidence: supported, contradicted, or not covered.

    A sentence is supported only when everything it says is: numbers after rounding and conversion, structures, sides,
    negations, comparisons. A sentence that cites ids is compared with those, others with all of the patient's evidence.

    Raises:
        BadInputError: the report cannot be read, is empty, or is longer than any report.
    """
    passages = _passages(ctx, report)
    checker = _Checker(evidence_in(ctx.workspace, ctx.open_knowledge), *_sources(ctx, report, evidence))
    has_ids = any(p.cited for p in passages)
    rows = []
    for number, passage in enumerate(passages):
        if number % 50 == 0:
            ctx.progress(number / len(passages), "comparing sentences with evidence")
        judged = checker.judge(passage, has_ids=has_ids)
        rows.append(
            SentenceVerdict(
                text=passage.text,
                section=passage.section,
                verdict=judged.verdict,
                reason=judged.reason,
                evidence=judged.evidence,
            )
        )
    return Verdicts(summary=_summary(report, rows), report=report, rows=tuple(rows), notes=_notes(ctx, report, checker))


def _passages(ctx: ToolContext, report: str) -> list[Passage]:
    if report.startswith("s"):
        claims = ctx.workspace.result(report, Draft).claims()
        return [Passage(c.text, "", c.evidence) for c in claims]
    text = ctx.workspace.report_text(report)
    if len(text) > MAX_CHARACTERS:
        raise BadInputError(f"report: {report} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are checked")
    passages = passages_of(text)
    if not passages:
        raise BadInputError(f"report: {report} holds no sentence to check")
    return passages


def _sources(ctx: ToolContext, report: str, evidence: list[str] | None) -> tuple[list[str], list[str]]:
    """Return the ids of this patient's evidence, and of the reports of other patients that this reading found."""
    ids = evidence or [a.id for a in ctx.workspace.artifacts()] + list(ctx.workspace.facts())
    own, others = [], []
    for evidence_id in dict.fromkeys(ids):
        kind = ctx.workspace.kind_of(evidence_id)
        if evidence_id == report or kind in ("verdicts", "files") or (kind == "report" and not evidence):
            continue
        own.append(evidence_id)
        if kind == "hits":
            others += [h.report_id for h in ctx.workspace.result(evidence_id, Hits).hits]
    return own, list(dict.fromkeys(others))


@dataclass
class _Checker:
    """Compares sentences with what the reading holds."""

    look_up: LookUp
    own: Sequence[str]
    others: Sequence[str]

    def judge(self, passage: Passage, *, has_ids: bool) -> Judgement:
        """Return the verdict on one sentence."""
        if passage.cited:
            return self._cited(passage)
        statement = read_statement(passage.text)
        everything = self._held(self.own)
        if statement.quotes:
            return judge(passage.text, self._held(self.others) + [e for e in everything if e.text])
        judged = judge(passage.text, everything)
        if judged.verdict != "supported":
            return Judgement(judged.verdict, judged.reason)
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


def _summary(report: str, rows: Sequence[SentenceVerdict]) -> str:
    counts = Counter(row.verdict for row in rows)
    parts = [f"{counts[v]} {v}" for v in ("supported", "contradicted", "not covered")]
    one = len(rows) == 1
    return f"{len(rows):,} sentence{'' if one else 's'} of {report} checked: {', '.join(parts)}."


def _notes(ctx: ToolContext, report: str, checker: _Checker) -> tuple[str, ...]:
    notes = []
    if not checker.own:
        notes.append("There is no result to check against: measure or classify first.")
    if not report.startswith("s"):
        text = ctx.workspace.report_text(report)
        if len(before_evidence(text)) < len(text):
            notes.append(f"What stands under “{EVIDENCE}” was not checked: it lists sources and makes no claim.")
    return tuple(notes)
