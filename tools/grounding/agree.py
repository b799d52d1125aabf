"""Do the numbers of a sentence agree with the evidence: value, unit, what it is of, and which quantity it is?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from tools.grounding.evidence import UNCERTAINTY, Evidence, Quantity
from tools.grounding.numbers import NumberSaid, factor, unit_named
from tools.grounding.statement import Named, Statement, dimension_of, expand, lexicon

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
_GENERIC = ("any_intensity", "size")
_PAIR = ("longest_diameter", "perpendicular_diameter")
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
    groups = _groups(statement.numbers)
    subjects = _subjects(statement, groups)
    for group, subject in zip(groups, subjects, strict=True):
        if len(group) > 1 and group[1].joined == "×":
            if not _is_sequence(group, subject, found):
                yield _explained(group[0], Wanted(subject, None), found, " × ".join(n.text for n in group))
            continue
        for number in group:
            quantity = None if loose else _quantity_of(statement, number)
            order = _ratio_order(statement, quantity)
            wanted = Wanted(
                None if loose else subject,
                quantity,
                order,
                any_quantity=loose,
                base=_ratio_base(statement) if order else "",
            )
            if quantity is not None and _is_foreign_unit(quantity, number):
                yield Problem(
                    "contradicted",
                    f"no cited evidence holds the value {number.text}: no {quantity.text.lower()} has that unit",
                )
            elif not _held(number, wanted, found, hedged=_is_hedged(statement, number)):
                yield _explained(number, wanted, found, number.text)
    if not loose:
        yield from _unused(statement, found)
        yield from _second_names(statement)


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

    def is_of(self, quantity: Quantity) -> bool:
        """Return whether a quantity of the evidence is of the same thing."""
        if self.order:
            return [expand([t]) for t in quantity.targets] == [expand([t]) for t in self.order]
        if self.subject is None or not quantity.targets:
            return True
        if not self.subject.names:
            return any(self.subject.side in target.split("_") for target in quantity.targets)
        if len(quantity.targets) > 1:
            return bool(expand(self.subject.names) & expand(quantity.targets))
        return expand(quantity.targets) == expand(self.subject.names) or quantity.targets[0] in self.subject.names

    def names(self, quantity: Quantity, number: NumberSaid) -> bool:
        """Return whether a quantity of the evidence is the one that is named, or may stand without a name."""
        if not quantity.name:
            return True
        if number.is_uncertainty != quantity.is_uncertainty:
            return False
        if quantity.is_uncertainty:
            quantity = replace(quantity, name=quantity.name.removesuffix(UNCERTAINTY))
        if self.any_quantity:
            return True
        said = self.quantity.names[0] if self.quantity else ""
        if quantity.name.endswith("ratio"):
            return said == "ratio" and (not self.base or quantity.name.startswith(self.base))
        if said in ("", *_GENERIC):
            unit = unit_named(number.unit)
            usual = _WITHOUT_WORD.get(unit.dimension if unit else "", ())
            return not usual or quantity.name in usual or quantity.name not in lexicon()["quantities"]
        known = quantity.name in lexicon()["quantities"]
        return quantity.name == said or (not known and said in quantity.name)


def agrees(number: NumberSaid, quantity: Quantity, *, hedged: bool = False) -> bool:
    """Return whether a number, as rounded as it is written, equals a value after conversion of the unit."""
    value = _converted(number, quantity)
    if value is None:
        return False
    step = number.step
    if hedged and number.step >= 1:
        whole = f"{abs(number.value):.0f}"
        zeros = len(whole) - len(whole.rstrip("0"))
        step *= 10.0 ** min(zeros, max(0, len(whole) - MIN_DIGITS))
    error = abs(value - number.value)
    if error > 0.5 * step * (1 + 1e-9) + 1e-9 * abs(value):
        return False
    is_score = not quantity.unit and number.step <= 0.01
    return number.significant >= MIN_DIGITS or is_score or error <= MAX_ERROR * abs(value)


def _converted(number: NumberSaid, quantity: Quantity) -> float | None:
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
    rows = [q for q in evidence.quantities if q.name == "volume" and len(q.targets) == 1]
    rows = [q for q in rows if expand(q.targets) < parts]
    chosen: list[Quantity] = []
    covered: frozenset[str] = frozenset()
    for row in sorted(rows, key=lambda q: -len(expand(q.targets))):
        if not covered & expand(row.targets):
            chosen.append(row)
            covered |= expand(row.targets)
    if len(chosen) < MIN_PARTS or covered != parts or len({(q.unit, q.image) for q in chosen}) > 1:
        return False
    total = Quantity(sum(q.value for q in chosen), chosen[0].unit, (), "volume")
    return wanted.names(total, number) and agrees(number, total)


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
    comparable = [(i, q) for i, q in same_thing if not number.unit or _converted(number, q) is not None]
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
    used = {q.names[0] for n in statement.numbers if (q := _quantity_of(statement, n))}
    dimensions = {u.dimension for n in statement.numbers if (u := unit_named(n.unit))}
    for named in statement.quantities:
        name = named.names[0]
        if used and name not in used | set(_GENERIC) and dimension_of(name) in dimensions:
            yield Problem("not covered", f"no number is left for “{named.text.lower()}”")


def _is_foreign_unit(quantity: Named, number: NumberSaid) -> bool:
    unit = unit_named(number.unit)
    wanted = dimension_of(quantity.names[0])
    return bool(wanted and unit and unit.dimension != wanted)


def _is_hedged(statement: Statement, number: NumberSaid) -> bool:
    before = statement.text[: number.start].lower().replace("~", " about ").split()
    return bool(before) and (before[-1] in _HEDGES or "".join(before[-2:-1]) in _HEDGES)


def _groups(numbers: Sequence[NumberSaid]) -> list[list[NumberSaid]]:
    """Put numbers that hang together ("52 × 31 mm", "5 to 10 mm") into one group."""
    groups: list[list[NumberSaid]] = []
    for number in numbers:
        if number.joined and groups:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _subjects(statement: Statement, groups: Sequence[Sequence[NumberSaid]]) -> list[Named | None]:
    """Return what each group of numbers is said to be of: in order where the counts are equal, else what is nearest."""
    structures = statement.structures
    if not structures or not groups:
        return [None] * len(groups)
    if len(structures) == 1 and len(set(structures[0].names)) == len(groups) == 2 and _is_one_dimension(groups):
        (both,) = structures
        return [Named((name,), both.start, both.end, both.text) for name in both.names]
    if len(structures) == 1:
        return [structures[0]] * len(groups)
    sides = [s for s in structures if s.side and s.names]
    if len(sides) == len(groups) > 1 and _is_one_dimension(groups):
        return list(sides)  # "lung volumes are … on the left and … on the right"
    if len(structures) == len(groups) and _is_one_dimension(groups):
        return list(structures)
    return [_nearest(statement, group[0], structures) for group in groups]


def _is_one_dimension(groups: Sequence[Sequence[NumberSaid]]) -> bool:
    units = [unit_named(group[0].unit) for group in groups]
    return len({u.dimension if u else "" for u in units}) == 1


def _nearest(statement: Statement, number: NumberSaid, named: Iterable[Named]) -> Named | None:
    """Return the nearest mention before a number in its clause, else after it there, else before it in the sentence."""
    start, end = statement.clause_of(number.start)
    before = [n for n in named if n.end <= number.start]
    inside = [n for n in before if n.start >= start]
    after = [n for n in named if number.end <= n.start < end]
    for candidates, pick in ((inside, -1), (after, 0), (before, -1)):
        if candidates:
            return candidates[pick]
    return next((n for n in named if n.start >= number.end), None)


def _quantity_of(statement: Statement, number: NumberSaid) -> Named | None:
    """Return the quantity that a number is said to be: the nearest that its unit can be, else the nearest of all."""
    if not statement.quantities:
        return None
    fitting = [q for q in statement.quantities if not _is_foreign_unit(q, number)]
    if not number.unit:
        fitting = [q for q in fitting if not dimension_of(q.names[0])]
    fitting = [q for q in fitting if q.names[0] not in _GENERIC] or fitting
    if len(fitting) > 1 and fitting != (same := _of_one_kind(fitting, number)):
        fitting = same
    in_order = _in_order(statement, number, fitting)
    nearest = in_order or (_nearest(statement, number, fitting) if fitting else None)
    return nearest or _nearest(statement, number, statement.quantities)


def _of_one_kind(fitting: Sequence[Named], number: NumberSaid) -> list[Named]:
    """Prefer quantities that have the number's dimension over those that have none."""
    unit = unit_named(number.unit)
    exact = [q for q in fitting if unit and dimension_of(q.names[0]) == unit.dimension]
    return exact or list(fitting)


def _in_order(statement: Statement, number: NumberSaid, fitting: Sequence[Named]) -> Named | None:
    """Pair numbers and quantities in order where the sentence has as many of one as of the other."""
    alike = [n for n in statement.numbers if unit_named(n.unit) == unit_named(number.unit)]
    if len(alike) == len(fitting) > 1:
        return fitting[alike.index(number)]
    return None


def _ratio_base(statement: Statement) -> str:
    return next((q.names[0] for q in statement.quantities if q.names[0] in ("volume", "area", "surface_area")), "")


def _ratio_order(statement: Statement, quantity: Named | None) -> tuple[str, ...]:
    """Return what is divided by what in "the ratio of the left to the right lung"."""
    if quantity is None or quantity.names[0] != "ratio":
        return ()
    names = [s.names for s in statement.structures if s.names]
    if len(names) == 1 and len(names[0]) == 2:
        return names[0]
    order = tuple(n[0] for n in names if len(n) == 1)
    return order if len(order) == 2 else tuple(dict.fromkeys(a for a, b in pairwise((*order, "")) if a != b))[:2]
