"""check_report: is what a report says supported by the evidence of this reading?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tools.contract import REF_PATTERN, AnyRef, Cost, Ref, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.grounding.checking import Checker
from tools.grounding.passages import Passage, before_evidence, passages_of
from tools.grounding.spotting import Spotter
from tools.places import Span
from tools.results import Draft, SentenceVerdict, Verdicts
from tools.verbs.draft_markdown import EVIDENCE

ReportRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("report",))]
MAX_CHARACTERS = 500_000  # far above any report; a book would only keep the person waiting


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
    checker = Checker.of(ctx.workspace, ctx.open_knowledge, report, evidence)
    spotter = Spotter(ctx.workspace, checker.look_up)
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
                where=spotter.places(passage.text, judged.evidence),
                span=_span(report, passage),
            )
        )
    return Verdicts(summary=_summary(report, rows), report=report, rows=tuple(rows), notes=_notes(ctx, report, checker))


def _span(report: str, passage: Passage) -> Span | None:
    if passage.start is None or passage.end is None:
        return None
    return Span(report=report, section=passage.section, start=passage.start, end=passage.end)


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


def _summary(report: str, rows: Sequence[SentenceVerdict]) -> str:
    counts = Counter(row.verdict for row in rows)
    parts = [f"{counts[v]} {v}" for v in ("supported", "contradicted", "not covered")]
    one = len(rows) == 1
    return f"{len(rows):,} sentence{'' if one else 's'} of {report} checked: {', '.join(parts)}."


def _notes(ctx: ToolContext, report: str, checker: Checker) -> tuple[str, ...]:
    notes = []
    if not checker.own:
        notes.append("There is no result to check against: measure or classify first.")
    if not report.startswith("s"):
        text = ctx.workspace.report_text(report)
        if len(before_evidence(text)) < len(text):
            notes.append(f"What stands under “{EVIDENCE}” was not checked: it lists sources and makes no claim.")
    return tuple(notes)
