"""Two things compared, against what was measured of both: "larger than the left", "they differ by 4.5 HU"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import MIN_PARTS, Problem, agrees, value_in
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import NumberSaid, small_number
from tools.grounding.phrasing import DIFFERENCE, NEGATED, is_about, number_at, only_word, phrases, sides_in, told
from tools.grounding.statement import Statement
from tools.grounding.structures import sides_of
from tools.grounding.valued import Sides, sides_named, values_of
from tools.grounding.worked import Span, Worked, contradicted

_STRESSED = re.compile(r"\b(?:clearly|definitely|obviously|evidently|certainly)\s+(?:the\s+)?$", re.IGNORECASE)
"""Of a comparison that holds, not of what follows from it."""
_AT_ITS = re.compile(r"\b(?:at|in|by)\s+(?:its|their)\s+$", re.IGNORECASE)
_ALIKE = 0.02
"""By how much of themselves two values may differ that are said to be equal."""


def pairs(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide which of two things is said to be more, or most of all, or the same."""
    if any(e.trends for e in found):
        return  # how things changed has checks of its own
    text = statement.text
    for match in phrases("comparative").finditer(text):
        sides = sides_named(statement, match.span())
        if sides is not None:
            yield from _paired(statement, found, match, sides)
    for match in re.finditer(r"\s[>≥<≤]\s", text):
        before = [s for s in statement.structures if s.end <= match.start() and s.names]
        after = [s for s in statement.structures if s.start >= match.end() and s.names]
        if before and after and not re.search(r"\d", text[before[-1].end : after[0].start]):
            sides = Sides(before[-1].names, after[0].names, match.span())
            yield from _paired(statement, found, match, sides)
    for match in phrases("superlative").finditer(text):
        yield from _extreme(statement, found, match)
    for match in phrases("alike").finditer(text):
        yield from _alike(statement, found, match)


def _quantities_meant(statement: Statement, kind: str, word: Span) -> tuple[str, ...]:
    """Return which quantities a comparative may be of: the one that is named, else what its word is of."""
    passed = ("size", "any_intensity", "operating_point", "spacing", "matrix")
    named = [q for q in statement.quantities if q.names[0] not in passed]
    if kind.startswith("dens"):
        return ("mean_intensity",)
    if named:
        return (min(named, key=lambda q: min(abs(q.start - word[1]), abs(q.end - word[0]))).names[0],)
    if any(q.names[0] == "any_intensity" for q in statement.quantities):
        return ("mean_intensity",)
    return tuple(lexicon()["comparing"]["meant"].get(kind.partition("_")[0], ()))


def _both(
    found: Sequence[Evidence], meant: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> tuple[Quantity, Quantity] | None:
    for name in meant:
        a = next(values_of(first, name, found), None)
        b = next(values_of(second, name, found), None)
        if a is not None and b is not None and a.unit == b.unit:
            return a, b
    return None


def _paired(statement: Statement, found: Sequence[Evidence], match: re.Match[str], sides: Sides) -> Iterator[Worked]:
    text, kind = (
        statement.text,
        match.lastgroup or ("size_up" if ">" in match.group() or "≥" in match.group() else "size_down"),
    )
    meant = _quantities_meant(statement, kind, match.span())
    pair = _both(found, meant, sides.first, sides.second)
    if pair is None:
        return
    a, b = pair
    negated = NEGATED.search(text, max(0, match.start() - 40), match.start())
    if negated and any(s.start >= negated.start() and s.end <= match.start() for s in statement.structures):
        negated = None
    is_more = kind.endswith("_up") is not bool(negated)
    if (a.value > b.value) is not is_more or (a.value == b.value and not negated):
        yield contradicted(f"“{match.group().strip()}”: it is {told(a)} against {told(b)}")
        return
    stressed = _STRESSED.search(text[: match.start()])
    spans = (
        [match.span(), sides.than]
        + ([stressed.span()] if stressed else [])
        + ([only_word(text, negated)] if negated else [])
    )
    by = _by(statement, match.span(), sides.than)
    if by is not None:
        unit = by.unit if (a.unit, by.unit) == ("%", "percentage points") else a.unit
        difference = Quantity(abs(a.value - b.value), unit)
        if value_in(by, difference) is None:
            return
        if not is_about(statement, by, difference):
            yield contradicted(f"{by.text} is not the difference, {told(difference)} is")
            return
        spans.append(_with_by(text, by))
    if sides.implied:
        numbers = [n for n in statement.numbers if n is not by and value_in(n, a) is not None and not n.is_uncertainty]
        if len(numbers) == 2 and agrees(numbers[0], a) and agrees(numbers[1], b):
            spans.append((numbers[0].end, numbers[1].end))
    yield Worked(tuple(s for s in spans if s[0] < s[1]))


def _by(statement: Statement, word: Span, than: Span) -> NumberSaid | None:
    """Return by how much: "300 ml smaller", "by 300 ml"."""
    for number in statement.numbers:
        between = statement.text[number.end : word[0]]
        if number.unit and 0 <= word[0] - number.end <= 1 and not between.strip():
            return number
        if number.unit and re.search(r"\bby\s+(?:\w+\s+){0,2}$", statement.text[: number.start], re.IGNORECASE):
            return number
    return None


def _with_by(text: str, number: NumberSaid) -> Span:
    before = re.search(r"\bby\s+(?:\w+\s+){0,2}$", text[: number.start], re.IGNORECASE)
    return (before.start() if before else number.start), number.end


def _extreme(statement: Statement, found: Sequence[Evidence], match: re.Match[str]) -> Iterator[Worked]:
    """Decide "the highest score belongs to effusion" among everything that has that quantity."""
    kind = str(match.lastgroup)
    if _AT_ITS.search(statement.text, 0, match.start()):
        return
    following = [n for n in statement.numbers if n.start >= match.end()]
    meant = _quantities_meant(statement, kind, match.span())
    named = [s for s in statement.structures if s.names and len(sides_of(s.names)) == 1]
    if len({s.names for s in named}) != 1 or re.match(
        r"\s+(?:\w+\s+){0,2}?(?:diameter|extent|dimension|axis|width)", statement.text[match.end() :], re.I
    ):
        return
    for name in meant:
        own = next(values_of(named[0].names, name, found), None)
        others = [q for e in found for q in e.quantities if q.name == name and own and q.unit == own.unit]
        if own is None or len({q.targets for q in others}) < 2:
            continue
        best = max(q.value for q in others) if kind.endswith("_up") else min(q.value for q in others)
        if own.value != best:
            yield Worked(
                problems=(
                    Problem("contradicted", f"“{match.group()}”: the evidence holds {told(Quantity(best, own.unit))}"),
                )
            )
        elif not following or any(agrees(n, own) for n in following):
            yield Worked((match.span(),), tells_scores=name == "score")
        return


_FACTOR = re.compile(
    r"\b(?P<times>twice|half|(?P<number>\w+(?:\.\d+)?)(?:\s+times|-?\s?fold))\s+(?:as\s+(?:large|big|much|long|voluminous)\s+as"
    r"|the\s+(?:size|volume|length)\s+of|(?:that|those)\s+of|(?:larger|bigger|longer)\s+than|of)\b",
    re.IGNORECASE,
)
_NEAR_FACTOR = 0.1
"""By how much of itself a factor may be off that is no bound."""


def factors(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide "more than five times as large as the spleen"."""
    for match in _FACTOR.finditer(statement.text):
        times = {"twice": 2.0, "half": 0.5}.get(match["times"].lower()) or _value(match["number"])
        before = [s for s in statement.structures if s.end <= match.start() and s.names]
        after = [s for s in statement.structures if s.start >= match.end() - 1 and s.names]
        if times is None or not before or not after:
            continue
        pair = _both(found, _quantities_meant(statement, "size_up", match.span()), before[-1].names, after[0].names)
        if pair is None or not pair[1].value:
            continue
        ratio = pair[0].value / pair[1].value
        bound = next((m for m in phrases("bound").finditer(statement.text) if 0 <= match.start() - m.end() <= 1), None)
        if bound:
            holds = (ratio > times) is (bound.lastgroup in ("more", "least"))
        else:
            holds = abs(ratio - times) <= _NEAR_FACTOR * times
        said = statement.text[bound.start() if bound else match.start() : match.end()]
        if holds:
            yield Worked(((bound.start() if bound else match.start(), match.end()),))
        else:
            yield contradicted(f"“{said}”: it is {ratio:.1f} times as much")


def _value(word: str | None) -> float | None:
    if word and re.fullmatch(r"\d+(?:\.\d+)?", word):
        return float(word)
    count = small_number(word or "")
    return None if count is None else float(count)


_TOGETHER = re.compile(r"\b(?:together|combined|in sum|added up|summed(?: up)?|altogether)\b", re.IGNORECASE)


def sums(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide "liver and spleen together occupy 2.06 l", of structures that were measured apart."""
    named = list(dict.fromkeys(n for s in statement.structures for n in sides_of(s.names)))
    numbers = [n for n in statement.numbers if n.unit]
    if not _TOGETHER.search(statement.text) or len(named) < MIN_PARTS or len(numbers) != 1:
        return
    rows = [next(values_of((name,), "volume", found), None) for name in named]
    held = [row for row in rows if row is not None]
    if len(held) != len(rows) or len({row.unit for row in held}) != 1:
        return
    total = Quantity(sum(row.value for row in held), held[0].unit)
    if value_in(numbers[0], total) is not None and is_about(statement, numbers[0], total):
        yield Worked(((numbers[0].start, numbers[0].end),))


def _alike(statement: Statement, found: Sequence[Evidence], match: re.Match[str]) -> Iterator[Worked]:
    """Decide "equal in volume" of two things that both were measured."""
    parts = list(dict.fromkeys(n for s in statement.structures for n in sides_of(s.names)))
    before = statement.text[: match.start()]
    if (
        len(parts) != 2
        or re.search(r"\b(?:times|twice|half|fold)\s+$", before, re.IGNORECASE)
        or number_at(statement, match.end())
    ):
        return
    pair = _both(found, _quantities_meant(statement, "size_up", match.span()), (parts[0],), (parts[1],))
    if pair is None:
        return
    a, b = pair
    negated = NEGATED.search(statement.text, max(0, match.start() - 20), match.start())
    same = abs(a.value - b.value) <= _ALIKE * max(abs(a.value), abs(b.value))
    if same is bool(negated):
        yield contradicted(f"“{match.group()}”: it is {told(a)} against {told(b)}")
    else:
        yield Worked((match.span(), *([only_word(statement.text, negated)] if negated else [])))


def differences(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide "a difference of 0.32 l between the lungs"."""
    match = DIFFERENCE.search(statement.text)
    if match is None or any(e.trends for e in found):
        return
    named = list(dict.fromkeys(n for s in statement.structures for n in sides_of(s.names)))
    if not named and re.search(r"\bsides?\b", statement.text, re.IGNORECASE):
        named = list(sides_in(found))
    numbers = [n for n in statement.numbers if n.unit]
    if len(named) != 2 or len(numbers) != 1:
        return
    (number,) = numbers
    pair = _both(found, _quantities_meant(statement, "size_up", match.span()), (named[0],), (named[1],))
    if pair is None:
        return
    a, b = pair
    unit = number.unit if (a.unit, number.unit) == ("%", "percentage points") else a.unit
    difference = Quantity(abs(a.value - b.value), unit)
    value = value_in(number, difference)
    if value is None:
        return
    bound = next(
        (m for m in phrases("bound").finditer(statement.text) if number_at(statement, m.end()) is number), None
    )
    if bound and (value > number.value) is (bound.lastgroup in ("more", "least")):
        yield Worked((match.span(), (bound.start(), number.end)))
    elif not bound and is_about(statement, number, difference):
        word = re.search(r"\b(?:two|both)\b", statement.text, re.IGNORECASE)
        yield Worked((match.span(), (number.start, number.end), *([word.span()] if word else [])))
    else:
        yield contradicted(f"{number.text} is not the difference, {told(difference)} is")
