"""How many scores, boxes or qualities lie on which side: "two of the six labels reach their operating points"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.grounding.agree import agrees
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.numbers import NumberSaid, small_number
from tools.grounding.statement import Statement
from tools.grounding.structures import Named
from tools.grounding.worked import Worked, contradicted
from tools.number_words import CARDINALS

_NOUNS = (
    r"labels?|findings?|scores?|classes|class|box|boxes|candidates?|detections?|nodules?|lesions?|of them|of these|"
    r"conditions?|categor(?:y|ies)|hits?"
)
_HOW_MANY = rf"\d+|{'|'.join(CARDINALS)}"
_ANOTHER_COUNT = re.compile(rf"\b(?:{_HOW_MANY})\b", re.IGNORECASE)
_COUNT = re.compile(
    rf"(?<![\d.,])\b(?P<only>only\s+)?(?P<count>all|every|each|none|no|both|neither|{_HOW_MANY})\s+"
    r"(?:(?:of\s+)?(?:the\s+|its\s+|these\s+|those\s+)?"
    rf"(?P<total>\d+|[a-z]+)\s+)?(?:of\s+)?(?:the\s+)?(?:\w+\s+){{0,1}}?(?P<noun>{_NOUNS})\b",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    rf"\b(?:out\s+)?of\s+(?:the\s+|its\s+)?(?P<total>\w+)\s+(?:\w+\s+)?(?:{_NOUNS}),?\s+(?:only\s+|just\s+)?(?P<count>\w+)(?P<noun>)\b",
    re.IGNORECASE,
)
_OF_ALL = re.compile(
    r"\bof\s+(?:the|all|these)\s+(?P<total>[a-z]+|\d+)(?=\s*(?:is|was|lies|scores?)\b|\s*[,.;:(]|$)", re.I
)
"""How many there are, nothing being counted: "the weakest of the five is"."""
_THE_ONLY = re.compile(
    rf"\bthe\s+only\s+(?:{_NOUNS}|one)\s+(?:(?:that|which)\s+)?(?:(?:is|lies|scores)\s+)?$", re.IGNORECASE
)
_POINT = re.compile(r"\b(?:operating\s+points?|thresholds?|cut-?\s?offs?)\b", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:not|never|fails?\s+to|without)\b|n't\b", re.IGNORECASE)
_EXCEPT = re.compile(
    r"\b(?:other\s+than|except(?:\s+for)?|apart\s+from|aside\s+from|besides|but\s+for)\b", re.IGNORECASE
)
_AGAINST = re.compile(
    r"\s*[(,;]?\s*(?P<how>vs\.?|versus|against|compared\s+(?:to|with)|/|[<>≤≥]=?|(?:which\s+is\s+|is\s+)?(?:below|above|"
    r"under|over))\s*(?:(?:the|its|a)\s+)?(?:(?:operating\s+point|threshold|cut-?\s?off)\s+)?(?:of\s+|at\s+|=\s*)?",
    re.IGNORECASE,
)
_UNDER = re.compile(r"<|≤|below|under", re.IGNORECASE)
_OVER = re.compile(r">|≥|above|over", re.IGNORECASE)
_ASIDE = re.compile(
    r"\s+(?:points?\s+)?(?:more than|less than|above|below|over|under|short of|beyond|from)\b", re.IGNORECASE
)
"""Behind a distance: "0.22 above its operating point"."""


@dataclass(frozen=True)
class _Row:
    label: str
    score: float
    point: float | None

    @property
    def reaches(self) -> bool:
        """Whether the score reaches the operating point."""
        return self.score >= (self.point or 0.0)


def counted(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide counts of scores, what alone lies on a side, and scores set against their operating points."""
    rows = [row for e in found if e.kind in ("scores", "boxes") for row in _rows(e)]
    if not rows:
        return
    yield from _excepted(statement, rows)
    for match in (*_COUNT.finditer(statement.text), *_OUT_OF.finditer(statement.text)):
        yield from _counted(statement, match, rows)
    yield from _alone(statement, rows)
    yield from _in_all(statement, rows)
    yield from _against(statement, rows)
    yield from _short_by(statement, rows)


def _rows(evidence: Evidence) -> Iterator[_Row]:
    points = {q.targets: q.value for q in evidence.quantities if q.name == "operating_point"}
    for quantity in evidence.quantities:
        if quantity.name == "score" and quantity.targets:
            default = 0.0 if evidence.kind == "boxes" else None  # a box is shown because it reaches it
            yield _Row(quantity.targets[0], quantity.value, points.get(quantity.targets, default))


def _counted(statement: Statement, match: re.Match[str], rows: Sequence[_Row]) -> Iterator[Worked]:
    word, total = match["count"].lower(), small_number(match["total"] or "")
    count = {"all": len(rows), "every": len(rows), "each": len(rows), "none": 0, "no": 0, "neither": 0}.get(
        word, small_number(word)
    )
    relation = next(
        (r for r in statement.relations if 0 <= r.start - match.end() <= len(" in this image stay clearly ")), None
    )
    if count is None or relation is None or _EXCEPT.search(statement.text):
        return
    if _ANOTHER_COUNT.search(statement.text, match.end(), relation.start):
        return  # "out of five labels, two reached"
    denial = _DENIES.search(statement.text, match.end(), relation.end)
    above = (relation.names[0] == "above") is not bool(denial)
    number = _limit(statement, relation)
    if number is not None:
        there = sum((row.score > number.value) is above for row in rows)
    elif all(row.point is not None for row in rows) and _POINT.search(statement.text, relation.end):
        there = sum(row.reaches is above for row in rows)
    else:
        return
    said = statement.text[match.start() : relation.end]
    if there != count or (total is not None and total != len(rows)):
        yield contradicted(f"“{said}”: it is {there} of {len(rows)}")
        return
    spans = [(match.start(), match.start("noun")), (relation.start, number.end if number else relation.end)]
    yield Worked((*spans, *([denial.span()] if denial else [])))


def _limit(statement: Statement, relation: Named) -> NumberSaid | None:
    """Return the number right behind "above" and the like."""
    return next((n for n in statement.numbers if 0 <= n.start - relation.end <= 1 and not n.unit), None)


def _listed(labels: Iterable[str]) -> str:
    return f"{', '.join(sorted(labels)) or 'none'} are"


def _alone(statement: Statement, rows: Sequence[_Row]) -> Iterator[Worked]:
    """Decide "effusion is the only label above 0.6"."""
    for relation in statement.relations:
        only = _THE_ONLY.search(statement.text[: relation.start])
        number = _limit(statement, relation)
        if only is None or number is None:
            continue
        there = {row.label for row in rows if (row.score > number.value) is (relation.names[0] == "above")}
        if there == {name for s in statement.structures if s.end <= only.start() for name in s.names}:
            yield Worked(((only.start(), number.end),), tells_scores=True)
        else:
            said = statement.text[only.start() : number.end]
            yield contradicted(f"“{said}”: {_listed(there)}")


def _in_all(statement: Statement, rows: Sequence[_Row]) -> Iterator[Worked]:
    for match in _OF_ALL.finditer(statement.text):
        if (total := small_number(match["total"])) == len(rows):
            yield Worked((match.span(),))
        elif total is not None:
            yield contradicted(f"“{match.group()}”: there are {len(rows)}")


def _excepted(statement: Statement, rows: Sequence[_Row]) -> Iterator[Worked]:
    """Decide "no label other than effusion reaches its operating point"."""
    match = _EXCEPT.search(statement.text)
    relation = next((r for r in statement.relations if match and r.start >= match.end()), None)
    quantifier = re.search(r"\b(?P<no>no|none|nothing)\b|\ball\b", statement.text, re.IGNORECASE)
    if match is None or relation is None or quantifier is None or quantifier.start() > relation.start:
        return
    if any(row.point is None for row in rows):
        return
    end = quantifier.start() if quantifier.start() > match.start() else relation.start
    names = {n for s in statement.structures if match.end() <= s.start < end for n in s.names}
    said_above = (relation.names[0] == "above") is not bool(_DENIES.search(statement.text, match.end(), relation.end))
    wanted_above = said_above if quantifier["no"] else not said_above
    there = {row.label for row in rows if row.reaches is wanted_above}
    if names != there:
        yield contradicted(f"“{match.group()}”: {_listed(there)}")
    elif quantifier["no"] and quantifier.start() < match.start():
        yield Worked(((quantifier.start(), match.end()),))
    elif quantifier["no"]:
        yield Worked((match.span(), quantifier.span()))
    else:
        yield Worked(((quantifier.start(), relation.end),))


def _against(statement: Statement, rows: Sequence[_Row]) -> Iterator[Worked]:
    """Decide "0.58 vs 0.55" and "0.12 (< 0.40)": a score, and the operating point that it is set against."""
    bare = [n for n in statement.numbers if not n.unit and n.step < 1]
    for first, second in pairwise(bare):
        how = _AGAINST.fullmatch(statement.text, first.end, second.start)
        row = _row_of(statement, first, rows)
        if how is None or row is None or row.point is None:
            continue
        if not (agrees(first, _bare(row.score)) and agrees(second, _bare(row.point))):
            continue
        under = row.score < row.point
        if (_UNDER.search(how["how"]) and not under) or (_OVER.search(how["how"]) and under):
            said = statement.text[first.start : second.end]
            yield contradicted(f"“{said}”: the score lies on the other side")
        elif how["how"][0] in "v/ac<>≤≥":
            yield Worked(((first.start, second.end),), tells_scores=True)


def _short_by(statement: Statement, rows: Sequence[_Row]) -> Iterator[Worked]:
    """Decide "misses its operating point by 0.13"."""
    for number in statement.numbers:
        by = re.search(r"\bby\s+(?:\w+\s+){0,2}$", statement.text[: number.start], re.IGNORECASE)
        by = by or (_ASIDE.match(statement.text, number.end) and re.compile("").search(statement.text, number.start))
        row = _row_of(statement, number, rows) if by and not number.unit else None
        if by is None or row is None or row.point is None or not _POINT.search(statement.text):
            continue
        distance = abs(row.score - row.point)
        if agrees(number, _bare(distance)):
            yield Worked(((by.start(), number.end),))
        else:
            yield contradicted(f"{number.text} is not the distance, {distance:.2f} is")


def _row_of(statement: Statement, number: NumberSaid, rows: Sequence[_Row]) -> _Row | None:
    """Return the row of the label that is named nearest before a number, else of the only label."""
    named: list[Named] = [s for s in statement.structures if any(r.label in s.names for r in rows)]
    before = [s for s in named if s.end <= number.start][-1:] or named[:1]
    return next((r for s in before for r in rows if r.label in s.names), None)


def _bare(value: float) -> Quantity:
    return Quantity(value)
