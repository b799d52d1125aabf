"""Do the numbers of a sentence agree with the evidence: value, unit, what it is of, and which quantity it is?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tools.grounding.binding import (
    GENERIC,
    groups_of,
    is_foreign_unit,
    quantity_of,
    ratio_base,
    ratio_order,
    subjects_of,
)
from tools.grounding.evidence import UNCERTAINTY, Evidence, Quantity
from tools.grounding.numbers import NumberSaid, counts, factor, unit_named
from tools.grounding.statement import Named, Statement, dimension_of, expand, lexicon, sides_of

Verdict = Literal["supported", "contradicted", "not covered"]
MIN_DIGITS = 2  # "4 l" for 3,694 ml rounds away a tenth of it; with fewer digits the error must stay below MAX_ERROR
MAX_ERROR = 0.05
MIN_PARTS = 2
_WITHOUT_WORD = {
    "volume": ("volume",),
    "density": ("mean_intensity",),
    "length": ("longest_diameter",),
    "area": ("area",),
}
_PAIR = ("longest_diameter", "perpendicular_diameter")
_LABELLED = re.compile(r"\b(?:box|candidate|nodule|lesion|detection|number|no\.?)\s#?$", re.IGNORECASE)
_JUST = r"\b(?:just|slightly|marginally|barely|(?:a )?little|only just)"
JUST = re.compile(rf"{_JUST}\s*$", re.IGNORECASE)
"""Before "over": that a value lies near."""
_NEAR = re.compile(rf"{_JUST}\s+(?:under|over|above|below|more than|less than)\s+$", re.IGNORECASE)
_TOGETHER = re.compile(r"\b(?:together|total\w*|combined|sum|in all|overall|altogether)\b", re.IGNORECASE)
_ERROR = re.compile(r"\b(?:uncertainty|error|error margin|margin of error)\b[^\d±;,.]*$", re.IGNORECASE)
MAX_LABEL = 100
NEAR = 0.02  # "just under 150 ml" is said of 149 ml, not of 140
_HEDGES = frozenset(lexicon()["plain"]["approximate"])


@dataclass(frozen=True)
class Problem:
    """Why a sentence does not follow from its evidence."""

    verdict: Verdict
    reason: str


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
                wanted = Wanted(None, None, any_quantity=True) if loose else _wanted(statement, number, subject)
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


def defines(number: NumberSaid, statement: Statement) -> bool:
    """Return whether a number is the limit by which a quantity is defined: "below −950 HU (emphysema index)"."""
    limits = (lexicon()["quantities"].get(q.names[0], {}).get("defined_by") for q in statement.quantities)
    return any(limit and (number.value, number.unit) == (limit["value"], limit["unit"]) for limit in limits)


def _is_near(statement: Statement, number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]) -> bool:
    """Return whether a value lies close to what it is said to be just under or over."""
    if not _NEAR.search(statement.text, 0, number.start):
        return False
    held = [value_in(number, q) for e in found for q in e.quantities if wanted.is_of(q) and wanted.names(q, number)]
    return any(v is not None and abs(v - number.value) <= NEAR * abs(number.value) for v in held)


def wanted_by(statement: Statement, number: NumberSaid) -> Wanted:
    """Return what one number of a sentence is said to be of, and which quantity."""
    groups = groups_of(statement.numbers)
    for group, subject in zip(groups, subjects_of(statement, groups), strict=True):
        if number in group:
            return _wanted(statement, number, subject)
    return _wanted(statement, number, None)


def _wanted(statement: Statement, number: NumberSaid, subject: Named | None) -> Wanted:
    quantity = quantity_of(statement, number)
    order = ratio_order(statement, quantity)
    base = ratio_base(statement) if order else ""
    of_error = bool(_ERROR.search(statement.text, statement.clause_of(number.start)[0], number.start))
    return Wanted(subject, quantity, order, base=base, whole=bool(_TOGETHER.search(statement.text)), of_error=of_error)


@dataclass(frozen=True)
class Wanted:
    """What a number is said to be of, and which quantity."""

    subject: Named | None
    quantity: Named | None
    order: tuple[str, ...] = ()
    """For a ratio: what is divided by what."""
    any_quantity: bool = False
    base: str = ""
    """For a ratio: of which quantity, where that is said."""
    whole: bool = False
    """Whether it is said of all parts together, so that the value of one of them is another one."""

    of_error: bool = False
    """Whether it is how far a value may be off: "the uncertainty of the volume is 15.8 ml"."""

    def is_of(self, quantity: Quantity) -> bool:
        """Return whether a quantity of the evidence is of the same thing."""
        if self.order:
            return self._is_ratio_of(quantity)
        if self.subject is None or not quantity.targets:
            return True
        if not self.subject.names:
            return any(self.subject.side in target.split("_") for target in quantity.targets)
        if len(quantity.targets) > 1:
            return bool(expand(self.subject.names) & expand(quantity.targets))
        if expand(quantity.targets) == expand(self.subject.names):
            return True
        return not self.whole and quantity.targets[0] in self.subject.names

    def _is_ratio_of(self, quantity: Quantity) -> bool:
        """Return whether a ratio has the structures, or only the sides, in the order that was said."""
        if set(self.order) == {"left", "right"}:
            sides = [t.split("_") for t in quantity.targets]
            return len(sides) == len(self.order) and all(o in s for o, s in zip(self.order, sides, strict=True))
        return [expand([t]) for t in quantity.targets] == [expand([t]) for t in self.order]

    def names(self, quantity: Quantity, number: NumberSaid) -> bool:
        """Return whether a quantity of the evidence is the one that is named, or may stand without a name."""
        if not quantity.name:
            return True
        if (number.is_uncertainty or self.of_error) != quantity.is_uncertainty:
            return False
        if quantity.is_uncertainty:
            quantity = replace(quantity, name=quantity.name.removesuffix(UNCERTAINTY))
        if self.any_quantity:
            return True
        said = self.quantity.names[0] if self.quantity else ""
        if quantity.name.endswith("ratio"):
            return said == "ratio" and (not self.base or quantity.name.startswith(self.base))
        if said in ("", *GENERIC):
            unit = unit_named(number.unit)
            usual = _WITHOUT_WORD.get(unit.dimension if unit else "", ())
            return not usual or quantity.name in usual or quantity.name not in lexicon()["quantities"]
        known = quantity.name in lexicon()["quantities"]
        return quantity.name == said or (not known and said in quantity.name)


def agrees(number: NumberSaid, quantity: Quantity, *, hedged: bool = False) -> bool:
    """Return whether a number, as rounded as it is written, equals a value after conversion of the unit."""
    value = value_in(number, quantity)
    if value is None:
        return False
    step = number.step
    if number.step >= 1 and number.unit:  # "−840 HU" is as much a rounding of −837.3 HU as "3.7 l" is of 3,694 ml
        whole = f"{abs(number.value):.0f}"
        zeros = len(whole) - len(whole.rstrip("0"))
        step *= 10.0 ** min(zeros, max(0, len(whole) - MIN_DIGITS))
    error = abs(value - number.value)
    if error > 0.5 * step * (1 + 1e-9) + 1e-9 * abs(value):
        return False
    is_score = not quantity.unit and number.step <= 0.01
    if number.unit == "%" and error < 0.5 * abs(value):
        return True  # "by 5 %" is said of 5.3 %
    return number.significant >= MIN_DIGITS or is_score or error <= MAX_ERROR * abs(value)


def value_in(number: NumberSaid, quantity: Quantity) -> float | None:
    """Return a value of the evidence in the unit that a number has, or None where it measures something else."""
    if number.unit == quantity.unit:
        return quantity.value
    if not number.unit:
        return None
    if not quantity.unit:
        if number.unit == "%" and quantity.name.endswith("ratio"):
            return quantity.value * 100
        is_count = number.unit in ("voxel", "pixel") or (number.unit == "%" and not quantity.targets)
        return quantity.value if is_count and not quantity.name else None
    scale = factor(quantity.unit, number.unit)
    return None if scale is None else quantity.value * scale


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


def sum_of_parts(parts: frozenset[str], evidence: Evidence) -> Quantity | None:
    """Return the volume of a structure as the sum of the volumes of all its parts; None where one is missing."""
    rows = [q for q in evidence.quantities if q.name == "volume" and len(q.targets) == 1]
    rows = [q for q in rows if expand(q.targets) < parts]
    chosen: list[Quantity] = []
    covered: frozenset[str] = frozenset()
    for row in sorted(rows, key=lambda q: -len(expand(q.targets))):
        if not covered & expand(row.targets):
            chosen.append(row)
            covered |= expand(row.targets)
    if len(chosen) < MIN_PARTS or covered != parts or len({(q.unit, q.image) for q in chosen}) > 1:
        return None
    return Quantity(sum(q.value for q in chosen), chosen[0].unit, (), "volume")


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
