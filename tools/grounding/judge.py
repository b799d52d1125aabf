"""The verdict on one sentence: supported, contradicted or not covered by its evidence, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tools.grounding.agree import Problem, Verdict
from tools.grounding.axes import axis_problems
from tools.grounding.comparing import work_out
from tools.grounding.dates import bare_date, is_date_of
from tools.grounding.distributing import side_problems
from tools.grounding.evidence import Evidence, LookUp, measures_of, names_of
from tools.grounding.figures import number_problems
from tools.grounding.findings import finding_problems, report_supports
from tools.grounding.quoting import foreign_words, quote_problems
from tools.grounding.reported import report_problems
from tools.grounding.scoring import score_problems
from tools.grounding.shifting import shift_problems
from tools.grounding.statement import CITED, QUOTE, Statement, read_statement
from tools.grounding.structures import Named, expand
from tools.grounding.trends import trend_problems
from tools.grounding.words import word_problems
from tools.grounding.worked import Worked, without
from tools.results import Claim, ClaimKind

_PARTS = re.compile(r";|\bbut\b|\bwhile\b|\bwhereas\b|, (?=the \w+ (?:was|were|has|have|could)\b)", re.IGNORECASE)
_DISGUISED = re.compile("[\u0334-\u0338\U000e0000-\U000e007f]")
"""Strokes through letters, and tags that nobody sees: words are not recognised under them."""
_ASSERTS = re.compile(
    r"\b(?:there (?:is|are)|(?:is|are|was|were|appears?|remains?) (?:\w+ ){0,2}?(?:normal|unremarkable|clear|healthy|"
    r"present|absent|seen|identified|enlarged)|no evidence of|shows?|demonstrates?|has an? )",
    re.IGNORECASE,
)


_OF_TWO = frozenset({"compared", "comparison", "difference", "differs"})
"""Words that compare two structures as well as two studies."""
_LOOKING = re.compile(
    r"\b(?:f[io]u?nd|finding|detect|search|hunt|look|box|candidate|locat|mask|outlin|segment|identif|return|hit|model|tool|"
    r"network|algorithm|software|seen|see|saw|show|delineat|contour|mark)\w*",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\b(?:empty|zero|0|in vain|unsuccessful(?:ly)?|missing|missed|failed)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Judgement:
    """What the evidence says of a sentence."""

    verdict: Verdict
    reason: str = ""
    evidence: tuple[str, ...] = ()


def problem_with(claim: Claim, look_up: LookUp) -> str | None:
    """Return why a claim does not follow from its evidence, or None when it does.

    Args:
        claim: one sentence with evidence ids.
        look_up: returns what an id holds, or None when there is no such evidence.
    """
    found: list[Evidence] = []
    for evidence_id in dict.fromkeys(claim.evidence):
        evidence = look_up(evidence_id)
        if evidence is None:
            return f"it cites {evidence_id!r}, which does not exist"
        found.append(evidence)
    if not found:
        return _without_evidence(claim)
    if lost := _lost_place(claim, look_up):
        return lost
    judged = judge(claim.text, found, claim.kind)
    return None if judged.verdict == "supported" else judged.reason


def _lost_place(claim: Claim, look_up: LookUp) -> str | None:
    """Return why a place that a claim points at is not there."""
    said = {" ".join(quote.split()) for quote in read_statement(claim.text).quotes}
    for place in claim.where:
        if place.region and look_up(place.region.image) is None:
            return f"it points at {place.region.image!r}, which does not exist"
        if place.span and (report := look_up(place.span.report)) is not None:
            words = " ".join(report.text[place.span.start : place.span.end].split())
            if place.span.end > len(report.text) or (claim.kind == "quoted" and words not in said):
                return f"the place in {place.span.report} that it points at does not hold these words"
    return None


def _without_evidence(claim: Claim) -> str | None:
    if claim.kind not in ("general", "not examined"):
        return "it cites no evidence"
    statement = read_statement(claim.text)
    if claim.text.rstrip().endswith("?") or not _ASSERTS.search(statement.text):
        return None
    says = [m for m in statement.mentions if m.assertion in ("present", "absent")]
    if (says or statement.loaded["normality"]) and (says or statement.structures) and not statement.not_examined:
        return "it states a finding and cites no evidence"
    return None


def judge(text: str, found: Sequence[Evidence], kind: ClaimKind | None = None) -> Judgement:
    """Compare one sentence with evidence.

    Args:
        text: the sentence.
        found: what it may rest on.
        kind: what the sentence claims to be, where that is known.
    """
    statement = read_statement(text, names_of(found), measures_of(found))
    ids = tuple(e.id for e in found if e.id)
    problems = list(_problems(text, statement, found, kind))
    if not problems:
        return Judgement("supported", evidence=ids)
    worst = next((p for p in problems if p.verdict == "contradicted"), problems[0])
    return Judgement(worst.verdict, worst.reason, ids)


def _problems(text: str, statement: Statement, found: Sequence[Evidence], kind: ClaimKind | None) -> Iterator[Problem]:
    if _DISGUISED.search(QUOTE.sub("", text)):
        yield Problem("not covered", "it holds characters that hide or strike out what it says")
    if is_verbatim(text, found):
        yield from number_problems(statement, found, loose=True)
        return
    if kind == "general":  # composed by us from several sources: its values and quotes are checked, its words are ours
        yield from number_problems(statement, found, loose=True)
        yield from foreign_words(statement, found)
        return
    if statement.quotes or kind == "quoted":
        yield from quote_problems(statement, found)
        return
    own = [e for e in found if e.source == "own report"]
    if own and any(report_supports(statement, e) for e in own):
        return
    if own and len(own) == len(found):
        for of_reports in (_numbers, _dates, finding_problems, report_problems):
            yield from of_reports(statement, own)
        return
    worked = work_out(statement, found)
    yield from worked.problems
    rest = _as_not_found(_without_worked(statement, worked, found), found)
    for check in _CHECKS:
        yield from check(rest, found)
    yield from _kind_problems(found, kind)


def _without_worked(statement: Statement, worked: Worked, found: Sequence[Evidence]) -> Statement:
    """Return what is left of a sentence to be checked when its comparisons are worked out."""
    if worked.spans:
        statement = read_statement(without(statement.text, worked.spans), names_of(found), measures_of(found))
    if worked.tells_scores:
        statement = replace(statement, attributed=statement.attributed | {"model", "scored"})
    return statement


def _as_not_found(statement: Statement, found: Sequence[Evidence]) -> Statement:
    """Read a denial that names only what tools looked for in vain, and speaks of looking, as "not found"."""
    missing = {t for e in found for t in e.not_found}
    named = {n for s in statement.structures for n in s.names}
    if not named or not named <= missing or statement.not_found or not _LOOKING.search(statement.text):
        return statement
    denies = statement.loaded["negation"] or _EMPTY.search(statement.text)
    return replace(statement, not_found=True) if denies else statement


def is_verbatim(text: str, found: Sequence[Evidence]) -> bool:
    """Return whether a tool said this sentence itself, in its summary or notes."""
    wanted = plain(text)
    return bool(wanted) and any(wanted == plain(said) for e in found for said in e.statements)


def plain(text: str) -> str:
    """Return a sentence for comparison: no citations, no Markdown marks, single blanks, no closing full stop."""
    bare = CITED.sub("", text).replace("\\", "").replace("*", "").lower()
    return " ".join(bare.split()).strip(" .;:-")


def _modalities(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    known = {_film(m) for e in found for m in e.modalities}
    for named in statement.modalities:
        if known and named.names[0] not in known:
            yield Problem("contradicted", f"it speaks of {named.text}, the evidence is {' and '.join(sorted(known))}")
        elif not known and not any(named.text.lower() in e.words for e in found):
            yield Problem("not covered", f"the cited evidence does not say that it is {named.text}")


def _film(modality: str) -> str:
    return "CR" if modality in ("DX", "RG") else modality


def _dates(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    for date in statement.dates:
        bare = bare_date(date)
        held = [said for e in found for said in (*e.statements, e.text)]
        if not any(bare.lower() in said.lower() or is_date_of(bare, said) for said in held):
            yield Problem("not covered", f"no cited evidence holds the date {bare}")


def _structures(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    if statement.not_examined and not statement.not_found:
        yield from _not_examined(statement, found)
        return
    looked_at = expand(t for e in found for t in e.targets if t not in e.not_found)
    missing = expand(t for e in found for t in e.not_found) - looked_at
    for named in statement.structures:
        not_found = statement.not_found and _is_in_its_part(statement, named)
        if not named.names:
            if not any(named.side in t.split("_") for t in looked_at):
                yield Problem("not covered", f"no cited evidence is of the {named.side} side")
            continue
        parts = expand(named.names)
        if not_found and not parts <= missing:
            yield Problem("contradicted", f"the evidence does not say that the {named.text} was not found")
        elif not not_found and parts & missing:
            yield Problem("contradicted", f"the {named.text} was looked for and not found")
        elif not parts <= looked_at | missing and not _in_words(named.text, found):
            yield Problem("not covered", f"no cited evidence is of the {named.text}")


def _is_in_its_part(statement: Statement, named: Named) -> bool:
    """Return whether the part of the sentence that names a structure is one that says "not found"."""
    edges = [0, *(m.start() for m in _PARTS.finditer(statement.text)), len(statement.text)]
    start, end = max(e for e in edges if e <= named.start), min(e for e in edges if e > named.start)
    parts = [statement.text[a:b] for a, b in pairwise(edges)]
    says = [read_statement(part).not_found for part in parts]
    if any(
        said and not any(a <= s.start < b for s in statement.structures)
        for said, (a, b) in zip(says, pairwise(edges), strict=True)
    ):
        return True  # "it was searched for but not found"
    return not any(says) or read_statement(statement.text[start:end]).not_found


def _in_words(text: str, found: Sequence[Evidence]) -> bool:
    words = [w for w in re.findall(r"[a-z]+", text.lower()) if w not in ("left", "right", "of", "the", "both")]
    has_side = bool(re.search(r"\b(?:left|right)\b", text, re.IGNORECASE))
    return not has_side and bool(words) and any(all(w in e.words for w in words) for e in found if not e.declared)


def _not_examined(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    looked_at = expand(t for e in found for t in e.targets)
    for named in statement.structures:
        if named.names and expand(named.names) & looked_at:
            yield Problem("contradicted", f"the {named.text} was looked at")
    if not statement.structures and any(e.assertions for e in found) and "disease" in _own(statement):
        yield Problem("contradicted", "a tool of this reading did look for disease")


def _own(statement: Statement) -> str:
    """Return a sentence unless it speaks of what was not looked for besides."""
    return "" if "further" in statement.text.lower() else statement.text


def _comparisons(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    words = (*statement.loaded["comparison"], *statement.loaded["unchanged"])
    if len({s.names for s in statement.structures}) > 1:
        words = tuple(w for w in words if w not in _OF_TWO)
    if any(e.boxed for e in found):
        words = tuple(w for w in words if w != "last")
    if not words or all(e.source == "own report" for e in found):
        yield from trend_problems(statement, found)
        return
    if not any(e.is_change for e in found) and len({i for e in found for i in e.images}) < 2:
        yield Problem("not covered", f"“{words[0]}” compares, and a comparison needs both studies as evidence")
        return
    yield from trend_problems(statement, found)


def _numbers(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    yield from number_problems(statement, found)
    yield from axis_problems(statement, found)


_CHECKS: tuple[Callable[[Statement, Sequence[Evidence]], Iterator[Problem]], ...] = (
    _numbers,
    side_problems,
    _structures,
    _modalities,
    _dates,
    score_problems,
    finding_problems,
    _comparisons,
    shift_problems,
    word_problems,
)


def _kind_problems(found: Sequence[Evidence], kind: ClaimKind | None) -> Iterator[Problem]:
    if kind == "measured" and any(e.is_opinion for e in found):
        yield Problem("contradicted", "it passes a model's opinion off as a measurement")
    if kind == "measured" and any(e.source == "other report" for e in found):
        yield Problem("contradicted", "it passes another patient's report off as a measurement of this one")
