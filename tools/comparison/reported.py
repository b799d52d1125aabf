"""Sizes that an earlier report states of a structure, word for word, to compare with what is measured now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.grounding.numbers import dates_in, factor
from tools.grounding.statement import dimension_of, read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.grounding.statement import Statement

_UNITS = {"volume": "ml", "longest_diameter": "mm"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class Stated:
    """One size in a report."""

    target: str
    quantity: str
    value: float
    unit: str
    step: float
    """The worth of the last digit that the report shows."""
    sentence: str
    start: int
    """Where the sentence begins in the report."""


def stated_sizes(text: str, targets: Sequence[str]) -> list[Stated]:
    """Return volumes and longest diameters that a report states, one a target and quantity, the first that it gives.

    Args:
        text: the report.
        targets: structures to look for.
    """
    found: dict[tuple[str, str], Stated] = {}
    for start, sentence in _sentences(text):
        statement = read_statement(sentence)
        named = {name for s in statement.structures for name in s.names}
        if len(statement.structures) != 1 or len(named & set(targets)) != 1 or len(statement.numbers) != 1:
            continue  # two structures or two numbers: which belongs to which would be a guess
        (target,) = named & set(targets)
        if size := _size(statement, target, sentence, start):
            found.setdefault((target, size.quantity), size)
    return list(found.values())


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield sentences with their offsets."""
    start = 0
    for end, following in [*((m.start(), m.end()) for m in _SENTENCE.finditer(text)), (len(text), len(text))]:
        sentence = text[start:end]
        yield start + len(sentence) - len(sentence.lstrip()), sentence.strip()
        start = following


def _size(statement: Statement, target: str, sentence: str, start: int) -> Stated | None:
    (number,) = statement.numbers
    said = [q.names[0] for q in statement.quantities if q.names[0] in _UNITS]
    for quantity, unit in _UNITS.items():
        scale = factor(number.unit, unit) if number.unit else None
        usual = [quantity] if quantity == "volume" else []
        if scale and quantity in (said or usual) and dimension_of(quantity):
            return Stated(target, quantity, number.value * scale, unit, number.step * scale, sentence, start)
    return None


def report_date(text: str) -> str:
    """Return the first date of a report as it writes it, or ""."""
    dates = dates_in(text)
    return dates[0][0] if dates else ""
