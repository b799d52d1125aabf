"""Does one number agree with one value: value, unit, what it is of, and which quantity it is?"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from tools.grounding.binding import GENERIC, groups_of, quantity_of, ratio_base, ratio_order, subjects_of
from tools.grounding.evidence import UNCERTAINTY, Evidence, Quantity
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import NumberSaid, factor, unit_named
from tools.grounding.statement import Statement
from tools.grounding.structures import Named, expand

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
JUST_BEFORE = r"\b(?:just|slightly|marginally|barely|(?:a )?little|only just)"
JUST = re.compile(rf"{JUST_BEFORE}\s*$", re.IGNORECASE)
"""Before "over": that a value lies near."""
_TOGETHER = re.compile(r"\b(?:together|total\w*|combined|sum|in all|overall|altogether)\b", re.IGNORECASE)
_ERROR = re.compile(r"\b(?:uncertainty|error|error margin|margin of error)\b[^\d±;,.]*$", re.IGNORECASE)
NEAR = 0.02  # "just under 150 ml" is said of 149 ml, not of 140


@dataclass(frozen=True)
class Problem:
    """Why a sentence does not follow from its evidence."""

    verdict: Verdict
    reason: str


def defines(number: NumberSaid, statement: Statement) -> bool:
    """Return whether a number is the limit by which a quantity is defined: "below −950 HU (emphysema index)"."""
    limits = (lexicon()["quantities"].get(q.names[0], {}).get("defined_by") for q in statement.quantities)
    return any(limit and (number.value, number.unit) == (limit["value"], limit["unit"]) for limit in limits)


def wanted_by(statement: Statement, number: NumberSaid) -> Wanted:
    """Return what one number of a sentence is said to be of, and which quantity."""
    groups = groups_of(statement.numbers)
    for group, subject in zip(groups, subjects_of(statement, groups), strict=True):
        if number in group:
            return wanted_of(statement, number, subject)
    return wanted_of(statement, number, None)


def wanted_of(statement: Statement, number: NumberSaid, subject: Named | None) -> Wanted:
    """Return what a number of a subject is said to be, where the subject is known."""
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
