"""Conditions in a person's words: "if the volume is above 5 l"."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from agent.planner.slots import enumerated

Quantity = Literal["volume", "intensity", "diameter", "surface_area", "ratio"]
_QUANTITIES: tuple[Quantity, ...] = ("volume", "intensity", "diameter", "surface_area", "ratio")

_ABOVE = r"above|over|more than|greater than|larger than|bigger than|exceeds?|at least|higher than|>"
_BELOW = r"below|under|less than|smaller than|lower than|at most|<"
_LIMIT = re.compile(
    rf"(?P<relation>{_ABOVE}|{_BELOW})\s*(?P<value>-?\d+(?:[.,]\d+)?)\s*"
    r"(?P<unit>millilit\w+|mls?|lit(?:re|er)s?|l|cc|ccm|cm3|millimet\w+|mm|centimet\w+|cm2|cm|hu|hounsfield\w*)?\b",
    re.I,
)
_UNITS = (
    (r"millilit|mls?$|cc|cm3", "ml"), (r"l", "l"), (r"millimet|mm", "mm"), (r"cm2", "cm2"), (r"cm|centimet", "cm"),
    (r"hu|hounsfield", "HU"),
)  # fmt: skip
_QUANTITY_OF_UNIT: dict[str, Quantity] = {
    "ml": "volume", "l": "volume", "mm": "diameter", "cm": "diameter", "cm2": "surface_area", "HU": "intensity",
}  # fmt: skip


class Limit(NamedTuple):
    """What a measured value is compared with."""

    quantity: Quantity
    relation: Literal["above", "below"]
    value: float
    unit: str


def limit_in(text: str) -> Limit | None:
    """Return the comparison that a condition makes; None when it makes none with a number."""
    found = _LIMIT.search(text)
    if found is None:
        return None
    unit = next((name for pattern, name in _UNITS if re.match(pattern, found["unit"] or "-", re.I)), "")
    named = [q for q in _QUANTITIES if q in enumerated("quantities", _QUANTITIES, text)]
    quantity = _QUANTITY_OF_UNIT.get(unit) or (named[0] if named else None)
    if quantity is None:
        return None
    is_above = re.fullmatch(_ABOVE, found["relation"], re.I) is not None
    return Limit(quantity, "above" if is_above else "below", float(found["value"].replace(",", ".")), unit)
