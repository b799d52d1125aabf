"""Bounds that a sentence gives, against measured values: "more than 2 l", "below −830 HU", "between 1 and 2 l"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import JUST, Problem, Wanted, value_in, wanted_by
from tools.grounding.binding import is_foreign_unit
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.numbers import NumberSaid
from tools.grounding.phrasing import DIFFERENCE, NEGATED, SPREADS, number_at, only_word, phrases, sides_in
from tools.grounding.statement import Statement
from tools.grounding.structures import Named, sides_of
from tools.grounding.valued import values_of
from tools.grounding.worked import Span, Worked, contradicted

_EVERY = re.compile(r"\b(?:each|both|either|neither|every|all|no)\b", re.IGNORECASE)
_ITSELF = 0.002
"""How near a bound must lie to the value so that it only repeats it: "more than 1,503 ml" of 1,503.2 ml."""
_BY = re.compile(
    r"\b(?:by|lost|gained|loses|gains|loss of|gain of|increase of|decrease of)\b[^.;,]{0,30}$", re.IGNORECASE
)
_PRECISE = 3  # "more than 1.9 l" of 1,904 ml is a bound, with two digits
_SUMMING = re.compile(r"\b(?:add|sum|amount|come|total)(?:s|ed|ing)?\s+$", re.IGNORECASE)
_SIGNS = re.compile(r"(?P<more>[>≥]=?)|(?P<less>[<≤]=?)")


def bounds(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide the bounds of a sentence that measured values decide."""
    text = statement.text
    if DIFFERENCE.search(text):
        return  # of two things: decided where both are looked at
    for match in (*phrases("bound").finditer(text), *_SIGNS.finditer(text)):
        number = number_at(statement, match.end())
        if number is None or number.joined or number.is_uncertainty:
            continue
        if match.group().lower() == "over" and SPREADS.search(text, 0, match.start()):
            continue
        if match.group().lower() == "up to" and _SUMMING.search(text, 0, match.start()):
            continue
        yield from _bounded(statement, found, number, match.span(), str(match.lastgroup))
    for match in phrases("bound_behind").finditer(text):
        before = [n for n in statement.numbers if 0 <= match.start() - n.end <= 1]
        if before:
            yield from _bounded(statement, found, before[-1], match.span(), str(match.lastgroup))
    for match in re.finditer(r"\bbetween\s+", text, re.IGNORECASE):
        low = number_at(statement, match.end())
        high = next((n for n in statement.numbers if low and 0 < n.start - low.end <= len(" and ")), None)
        if low and high and re.fullmatch(r"\s*and\s*", text[low.end : high.start]):
            yield from _ranged(statement, found, (low, high), match.span())


def _ranged(
    statement: Statement, found: Sequence[Evidence], ends: tuple[NumberSaid, NumberSaid], span: Span
) -> Iterator[Worked]:
    low, high = ends
    sets = _compared_with(statement, found, high)
    values = [v for one in sets for q in one if (v := value_in(high, q)) is not None]
    if not values:
        return
    if all(low.value <= v <= high.value for v in values):
        yield Worked(((span[0], high.end),))
    else:
        yield contradicted(f"no measured value lies between {low.text} and {high.text}")


def _bounded(
    statement: Statement, found: Sequence[Evidence], number: NumberSaid, span: Span, bound: str
) -> Iterator[Worked]:
    sets = _compared_with(statement, found, number)
    if not sets or not all(sets):
        return
    negated = NEGATED.search(statement.text, 0, span[0])
    is_more = (bound in ("more", "least")) is not bool(negated)
    first, last = min(span[0], number.start), max(span[1], number.end)
    spans = [(first, last)] + ([only_word(statement.text, negated)] if negated else [])
    said = statement.text[first:last]
    for one in sets:
        values = [v for q in one if (v := value_in(number, q)) is not None]
        is_near = JUST.search(statement.text, 0, first)
        if (
            not is_near
            and number.significant >= _PRECISE
            and any(abs(v - number.value) <= _ITSELF * abs(v) for v in values)
        ):
            yield Worked(problems=(Problem("not covered", f"“{said}” is a bound, and that is the value itself"),))
            return
        if not any((v > number.value) is is_more for v in values):
            yield contradicted(f"“{said}”: the measured value is {values[0]:,.4g}")
            return
    yield Worked(tuple(spans))


def _compared_with(statement: Statement, found: Sequence[Evidence], number: NumberSaid) -> list[list[Quantity]]:
    """Return, for each thing that a bound is said of, the values that it may be said of."""
    wanted = wanted_by(statement, number)
    if wanted.order or (statement.quantities and all(is_foreign_unit(q, number) for q in statement.quantities)):
        return []  # "below −950 HU" says how the index is defined
    if any(e.kind in ("scores", "boxes") for e in found) and not number.unit:
        return []  # which side of an operating point a score lies on has checks of its own
    change = any(e.trends for e in found) and _is_of_a_change(statement, number)
    named = wanted.subject.names if wanted.subject else ()
    sides = sides_of(named)
    if not named and re.search(r"\bsides?\b", statement.text, re.IGNORECASE):
        sides = sides_in(found)
    every = bool(_EVERY.search(statement.text)) and len(sides) > 1
    subjects: list[tuple[str, ...]] = [(side,) for side in sides] if every else [named]
    sets: list[list[Quantity]] = []
    for names in subjects:
        subject = Named(names, 0, 0, "") if every else wanted.subject
        one = Wanted(subject, wanted.quantity, whole=len(sides) > 1 and not every)
        sets.append(list(_values(one, number, found, change=change, names=names)))
    return sets


def _is_of_a_change(statement: Statement, number: NumberSaid) -> bool:
    return bool(_BY.search(statement.text[: number.start]))


def _values(
    wanted: Wanted, number: NumberSaid, found: Sequence[Evidence], *, change: bool, names: Sequence[str]
) -> Iterator[Quantity]:
    held = [q for e in found for q in e.quantities if wanted.is_of(q) and value_in(number, q) is not None and q.targets]
    if change:
        yield from (q for q in held if q.name.endswith("_change_size"))
        return
    if any(e.trends for e in found):
        return  # of which study is not said
    own = [q for q in held if wanted.names(q, number) and not q.is_uncertainty]
    yield from own
    if not own and len(sides_of(tuple(names))) > 1:
        yield from (q for q in values_of(names, "volume", found) if value_in(number, q) is not None)
