"""Do the numbers of a sentence agree with the evidence, and if not, what does it hold instead?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tools.grounding.agree import JUST_BEFORE, NEAR, Problem, Wanted, agrees, defines, sum_of_parts, value_in, wanted_of
from tools.grounding.binding import GENERIC, groups_of, is_foreign_unit, quantity_of, subjects_of
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.lexicon import dimension_of, lexicon
from tools.grounding.numbers import NumberSaid, counts, unit_named
from tools.grounding.statement import Statement
from tools.grounding.structures import Named, expand, sides_of

_PAIR = ("longest_diameter", "perpendicular_diameter")
_LABELLED = re.compile(r"\b(?:box|candidate|nodule|lesion|detection|number|no\.?)\s#?$", re.IGNORECASE)
_NEAR = re.compile(rf"{JUST_BEFORE}\s+(?:under|over|above|below|more than|less than)\s+$", re.IGNORECASE)
MAX_LABEL = 100
_HEDGES = frozenset(lexicon()["plain"]["approximate"])


def number_problems(statement: Statement, found: Sequence[Evidence], *, loose: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with the numbers of a sentence.

    Args:
        statement: the sentence.
        found: the evidence it may rest on.
        loose: compare values and units only; for sentences that a tool wrote itself.
    """
    if loose:
        found = [replace(e, quantities=(*e.quantities, *e.said)) for e in found]
    groups = groups_of(statement.numbers)
    subjects = subjects_of(statement, groups)
    for group, subject in zip(groups, subjects, strict=True):
        if len(group) > 1 and group[1].joined == "×":
            if not _is_sequence(group, subject, found):
                yield _explained(group[0], Wanted(subject, None), found, " × ".join(n.text for n in group))
            continue
        for number in group:
            if _is_pair(statement, number):
                continue
            if not loose and (_is_count(statement, number) or _is_label(statement, number)):
                yield from _miscounted(number, found, label=_is_label(statement, number))
            else:
                wanted = Wanted(None, None, any_quantity=True) if loose else wanted_of(statement, number, subject)
                yield from _number_problems(statement, number, wanted, found)
    if not loose:
        yield from _unused(statement, found)
        yield from _second_names(statement)


def _number_problems(
    statement: Statement, number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]
) -> Iterator[Problem]:
    if defines(number, statement):
        return
    is_share = number.unit == "%" and any(e.is_change for e in found)
    if wanted.quantity is not None and is_foreign_unit(wanted.quantity, number) and not is_share:
        reason = f"no {wanted.quantity.text.lower()} has that unit"
        yield Problem("contradicted", f"no cited evidence holds the value {number.text}: {reason}")
    elif _is_bound_of_score(statement, number):
        point = Wanted(wanted.subject, Named(("operating_point",), number.start, number.end, number.text))
        if not any(_held(number, w, found, hedged=False) for w in (wanted, point)):
            yield _explained(number, wanted, found, number.text)
    elif not _held(number, wanted, found, hedged=_is_hedged(statement, number)) and not _is_near(
        statement, number, wanted, found
    ):
        yield _explained(number, wanted, found, number.text)


def _is_bound_of_score(statement: Statement, number: NumberSaid) -> bool:
    """Return whether a bare number stands right behind "above", "does not reach" and the like."""
    return not number.unit and any(0 <= number.start - r.end <= 1 for r in statement.relations)


def _is_near(statement: Statement, number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]) -> bool:
    """Return whether a value lies close to what it is said to be just under or over."""
    if not _NEAR.search(statement.text, 0, number.start):
        return False
    held = [value_in(number, q) for e in found for q in e.quantities if wanted.is_of(q) and wanted.names(q, number)]
    return any(v is not None and abs(v - number.value) <= NEAR * abs(number.value) for v in held)


def _held(number: NumberSaid, wanted: Wanted, found: Sequence[Evidence], *, hedged: bool) -> bool:
    for evidence in found:
        for quantity in evidence.quantities:
            if wanted.is_of(quantity) and wanted.names(quantity, number) and agrees(number, quantity, hedged=hedged):
                return True
        if wanted.subject and not wanted.order and _is_sum(number, wanted, evidence):
            return True
    return False


def _is_sum(number: NumberSaid, wanted: Wanted, evidence: Evidence) -> bool:
    """Return whether a volume is the sum of the volumes of all its parts, measured apart in one table."""
    parts = expand(wanted.subject.names) if wanted.subject else frozenset()
    total = sum_of_parts(parts, evidence)
    return total is not None and wanted.names(total, number) and agrees(number, total)


def _is_sequence(group: Sequence[NumberSaid], subject: Named | None, found: Sequence[Evidence]) -> bool:
    """Return whether numbers joined by × are a list of the evidence in its order, or the two diameters of one thing."""
    for evidence in found:
        lists = [tuple(Quantity(v, unit) for v in values) for unit, values in evidence.sequences]
        diameters = [
            tuple(q for q in evidence.quantities if q.name == name and Wanted(subject, None).is_of(q)) for name in _PAIR
        ]
        lists += list(zip(*diameters, strict=False))
        for values in lists:
            if len(values) == len(group) and all(agrees(n, q) for n, q in zip(group, values, strict=True)):
                return True
    return False


def _explained(number: NumberSaid, wanted: Wanted, found: Sequence[Evidence], text: str) -> Problem:
    """Say what the evidence holds instead."""
    start = f"no cited evidence holds the value {text}"
    held = [(e.id, q) for e in found for q in e.quantities if q.unit or q.name]
    same_value = [(i, q) for i, q in held if agrees(number, q)]
    same_thing = [
        (i, q) for i, q in held
        if (wanted.subject or wanted.quantity) and wanted.is_of(q) and wanted.names(q, number) and q.targets
    ]  # fmt: skip
    comparable = [(i, q) for i, q in same_thing if not number.unit or value_in(number, q) is not None]
    same_thing = comparable or same_thing
    if same_thing:
        where, quantity = same_thing[0]
        return Problem("contradicted", f"{start}: {_described(where, quantity)}")
    if same_value:
        where, quantity = same_value[0]
        return Problem("contradicted", f"{start} for that: {_described(where, quantity)}")
    bare = [(i, q) for i, q in held if not number.unit and q.unit and abs(q.value - number.value) <= 0.5 * number.step]
    if bare:
        return Problem("contradicted", f"{start}: its unit {bare[0][1].unit} is missing")
    return Problem("not covered", start)


def _described(where: str, quantity: Quantity) -> str:
    from tools.claims import readable, shown

    of = " of ".join(filter(None, (quantity.name.replace("_", " "), " ÷ ".join(map(readable, quantity.targets)))))
    return f"{where or 'it'} holds {of + ' ' if of else ''}{shown(quantity.value, quantity.unit)}"


def _unused(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield quantities that are spoken of and that no evidence holds."""
    held = {q.name for e in found for q in e.quantities}
    for named in statement.quantities:
        name = named.names[0]
        if name in ("size", "any_intensity", "spacing", "matrix", "operating_point", "score", "ratio"):
            continue
        if (
            name not in held
            and any(e.declared for e in found)
            and not any(q.name == "" for e in found for q in e.quantities if q.unit)
        ):
            yield Problem("not covered", f"the cited evidence holds no {named.text.lower()}")


def _second_names(statement: Statement) -> Iterator[Problem]:
    """Yield a second quantity that no number is left for: "perpendicular … diameter: 52 mm"."""
    used = {q.names[0] for n in statement.numbers if (q := quantity_of(statement, n))}
    dimensions = {u.dimension for n in statement.numbers if (u := unit_named(n.unit))}
    for named in statement.quantities:
        name = named.names[0]
        if used and name not in used | set(GENERIC) and dimension_of(name) in dimensions:
            yield Problem("not covered", f"no number is left for “{named.text.lower()}”")


def _is_hedged(statement: Statement, number: NumberSaid) -> bool:
    before = statement.text[: number.start].lower().replace("~", " about ").split()
    return bool(before) and (before[-1] in _HEDGES or "".join(before[-2:-1]) in _HEDGES)


def _is_count(statement: Statement, number: NumberSaid) -> bool:
    """Return whether a number says how many there are: "two nodules", "two of the four findings"."""
    whole = not number.unit and number.value == int(number.value) and number.value >= 0 and "." not in number.text
    return whole and bool(counts(statement.text, number.end))


def _is_pair(statement: Statement, number: NumberSaid) -> bool:
    """Return whether a number only says that there are two sides: "the two lungs"."""
    named = [s for s in statement.structures if s.start <= number.start < s.end or 0 <= s.start - number.end <= 1]
    return not number.unit and any(number.value == len(sides_of(s.names)) > 1 for s in named)


def _is_label(statement: Statement, number: NumberSaid) -> bool:
    """Return whether a number only says which one: "candidate 2"."""
    whole = not number.unit and "." not in number.text and number.value < MAX_LABEL
    return whole and bool(_LABELLED.search(statement.text, 0, number.start))


def _miscounted(number: NumberSaid, found: Sequence[Evidence], *, label: bool) -> Iterator[Problem]:
    counted = [q.value for e in found for q in e.quantities if not q.unit and q.name in ("count", "")]
    if label and not any(number.value <= len(scores) for e in found for _, scores in e.in_order):
        yield Problem("contradicted", f"the evidence has no number {number.text}")
    elif not label and number.value not in counted:
        yield Problem("contradicted", f"the evidence does not hold {number.text} of them")
