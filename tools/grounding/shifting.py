"""Phrases whose words say nothing alone, and together something that was not measured: "half of the liver"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from tools.grounding.agree import Problem
from tools.grounding.evidence import Evidence
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import unit_named
from tools.grounding.statement import Statement

_STRUCTURE = "§"


class _Shift(NamedTuple):
    name: str
    says: str
    pattern: re.Pattern[str]


@cache
def _shifts() -> tuple[_Shift, ...]:
    return tuple(
        _Shift(name, row["says"], re.compile("|".join(rf"(?<!\w)(?:{p})(?!\w)" for p in row["phrases"]), re.I))
        for name, row in lexicon()["shifts"].items()
    )


def shift_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield phrases that turn a measurement into one of something else, or of another time, or into a judgement."""
    text = statement.marked(_STRUCTURE)
    for shift in _shifts():
        if not _applies(shift.name, statement, found):
            continue
        if match := shift.pattern.search(text):
            yield Problem("not covered", f"“{match.group().replace(_STRUCTURE, '…').strip()}” {shift.says}")


def _applies(name: str, statement: Statement, found: Sequence[Evidence]) -> bool:
    units = [n.unit for n in statement.numbers]
    if name == "part":
        return "%" not in units  # "8.6 % of the left lung" is a share
    if name == "plane":
        return any((unit := unit_named(u)) and unit.dimension == "volume" for u in units)
    if name == "lasting":
        return not any(e.trends for e in found)  # else it is compared with both studies
    return True
