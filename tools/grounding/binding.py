"""Which number of a sentence is said to be of what: its subject, its quantity, and the two sides of a ratio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tools.grounding.lexicon import dimension_of
from tools.grounding.numbers import NumberSaid, unit_named
from tools.grounding.statement import Statement
from tools.grounding.structures import Named, sides_of

_OF_WHAT = re.compile(r"\s+(?:for|in)\s+(?:(?:the|this|his|her|its|whole|entire)\s+)*", re.IGNORECASE)
_SCORING = re.compile(r"\s+(?:with|scoring)\s+(?:only\s+|just\s+)?", re.IGNORECASE)
GENERIC = ("any_intensity", "size")
"""Quantities that do not say which one they mean."""


def is_foreign_unit(quantity: Named, number: NumberSaid) -> bool:
    """Return whether a number's unit is none that a quantity can have."""
    unit = unit_named(number.unit)
    wanted = dimension_of(quantity.names[0])
    return bool(wanted and unit and unit.dimension != wanted)


def groups_of(numbers: Sequence[NumberSaid]) -> list[list[NumberSaid]]:
    """Put numbers that hang together ("52 × 31 mm", "5 to 10 mm") into one group."""
    groups: list[list[NumberSaid]] = []
    for number in numbers:
        if number.joined and groups:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def subjects_of(statement: Statement, groups: Sequence[Sequence[NumberSaid]]) -> list[Named | None]:
    """Return what each group of numbers is said to be of: in order where the counts are equal, else what is nearest."""
    structures = statement.structures
    if not structures or not groups:
        return [None] * len(groups)
    if len(structures) == 1 and len(set(structures[0].names)) == len(groups) == 2 and _is_one_dimension(groups):
        (both,) = structures
        return [Named((name,), both.start, both.end, both.text) for name in both.names]
    if len(structures) == 1:
        return [structures[0]] * len(groups)
    if _is_one_dimension(groups):
        sides = [s for s in structures if s.side and s.names]
        for in_order in (sides if len(groups) > 1 else [], structures, _without_heads(structures)):
            if len(in_order) == len(groups):
                return list(in_order)  # "lung volumes are … on the left and … on the right"
    narrowed = _without_heads(structures)
    return [_nearest(statement, group[0], narrowed) for group in groups]


def _without_heads(structures: Sequence[Named]) -> list[Named]:
    """Leave out "lungs" where its sides follow: "lung volumes: right …, left …"."""
    sides = {name for s in structures if s.side for name in s.names}
    return [
        s
        for s in structures
        if s.side or len(sides_of(s.names)) == 1 or s.is_total or not sides & set(sides_of(s.names))
    ]


def _is_one_dimension(groups: Sequence[Sequence[NumberSaid]]) -> bool:
    units = [unit_named(group[0].unit) for group in groups]
    return len({u.dimension if u else "" for u in units}) == 1


def _nearest(statement: Statement, number: NumberSaid, named: Iterable[Named], *, beyond: bool = True) -> Named | None:
    """Return the nearest mention before a number in its clause, else after it there, else before it in the sentence.

    `beyond`: else the first after it, in whichever clause.
    """
    start, end = statement.clause_of(number.start)
    behind = next((n for n in named if n.start >= number.end), None)
    if behind and _OF_WHAT.fullmatch(statement.text, number.end, behind.start):
        return behind  # "gave 1187 ml for the brain"
    before = [n for n in named if n.end <= number.start]
    inside = [n for n in before if n.start >= start]
    after = [n for n in named if number.end <= n.start < end]
    for candidates, pick in ((inside, -1), (after, 0), (before, -1)):
        if candidates:
            return candidates[pick]
    return next((n for n in named if n.start >= number.end), None) if beyond else None


def quantity_of(statement: Statement, number: NumberSaid) -> Named | None:
    """Return the quantity that a number is said to be: the nearest that its unit can be, else the nearest of all."""
    if not statement.quantities:
        return None
    fitting = [q for q in statement.quantities if not is_foreign_unit(q, number)]
    if not number.unit:
        fitting = [q for q in fitting if not dimension_of(q.names[0])]
    fitting = [q for q in fitting if q.names[0] not in GENERIC] or fitting
    if len(fitting) > 1 and fitting != (same := _of_one_kind(fitting, number)):
        fitting = same
    if (
        fitting
        and fitting[0].names[0] == "operating_point"
        and _stands_before_a_relation(statement, number, fitting[0])
    ):
        return Named(("score",), number.start, number.end, "score")  # "0.66, at or above its operating point"
    in_order = _in_order(statement, number, fitting)
    nearest = in_order or (_nearest(statement, number, fitting, beyond=False) if fitting else None)
    if nearest or fitting:
        return nearest
    start, end = statement.clause_of(number.start)
    inside = [q for q in statement.quantities if start <= q.start < end and not _is_of_another(statement, q, number)]
    return _nearest(statement, number, inside)


def _is_of_another(statement: Statement, quantity: Named, number: NumberSaid) -> bool:
    """Return whether a quantity has a number of its own: "vol 2144 ml / −841 HU"."""
    return any(n is not number and n.unit and not is_foreign_unit(quantity, n) for n in statement.numbers)


def _stands_before_a_relation(statement: Statement, number: NumberSaid, point: Named) -> bool:
    if any(number.end <= r.start and r.end <= point.start for r in statement.relations):
        return True
    if _SCORING.fullmatch(statement.text, point.end, number.start):
        return True  # "passes its operating point with 0.63"
    if any(
        re.fullmatch(r"\s*[:=(]?\s*", statement.text[s.end : number.start])
        for s in statement.structures
        if s.end <= number.start
    ):
        return True  # "atelectasis 0.63 (cut-off 0.50)"
    return number.end <= point.start and any(n.start >= point.end for n in statement.numbers)


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


def ratio_base(statement: Statement) -> str:
    """Return of which quantity a ratio is said to be, where that is said."""
    return next((q.names[0] for q in statement.quantities if q.names[0] in ("volume", "area", "surface_area")), "")


def ratio_order(statement: Statement, quantity: Named | None) -> tuple[str, ...]:
    """Return what is divided by what in "the ratio of the left to the right lung"."""
    if quantity is None or quantity.names[0] != "ratio":
        return ()
    names = [s.names for s in statement.structures if s.names]
    sides = tuple(s.side for s in statement.structures if not s.names)
    if len(set(sides)) > 1:
        return sides[:2]  # "right-to-left volume ratio": of whatever has sides
    if len(names) == 1 and len(names[0]) == 2:
        return names[0]
    order = tuple(n[0] for n in names if len(n) == 1)
    return order if len(order) == 2 else tuple(dict.fromkeys(a for a, b in pairwise((*order, "")) if a != b))[:2]
