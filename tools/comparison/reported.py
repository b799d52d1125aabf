"""Sizes that an earlier report states of a structure, word for word, to compare with what is measured now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.grounding.lexicon import dimension_of
from tools.grounding.numbers import dates_in, factor
from tools.grounding.statement import read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.changes import ChangeStatus
    from tools.grounding.statement import Statement

_UNITS = {"volume": "ml", "longest_diameter": "mm"}
# In this order: "no new nodule" says unchanged, "new" alone says new.
_CHANGES: tuple[tuple[ChangeStatus, re.Pattern[str]], ...] = (
    ("unchanged", re.compile(r"\b(?:unchanged|stable|no (?:\w+ ){0,2}(?:change|new)|not changed)\b", re.I)),
    (
        "resolved",
        re.compile(r"\b(?:resolved|no longer (?:seen|present|visible)|ha(?:s|ve) (?:cleared|disappeared))\b", re.I),
    ),
    (
        "changed",
        re.compile(
            r"\b(?:(?:in|de)creas(?:ed|ing)|enlarged|(?:larger|smaller|bigger|better|worse) than|grown|shrunk|"
            r"progressed|progression|regressed|regression|improved|improvement|worsened|worsening)\b",
            re.I,
        ),
    ),
    ("new", re.compile(r"\b(?:new|newly)\b(?! (?:york|comparison|study|scan|image))", re.I)),
)
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


@dataclass(frozen=True)
class StatedChange:
    """A sentence of a report that says in words what changed."""

    sentence: str
    says: ChangeStatus
    start: int
    """Where the sentence begins in the report."""


def stated_changes(text: str, targets: Sequence[str] | None) -> list[StatedChange]:
    """Return the sentences of a report that state a change in words, in its order.

    Args:
        text: the report.
        targets: structures that a sentence must name one of; None: any sentence.
    """
    found = []
    for start, sentence in _sentences(text):
        says = next((status for status, words in _CHANGES if words.search(sentence)), None)
        if says is None:
            continue
        named = {name for s in read_statement(sentence).structures for name in s.names}
        if targets is None or named & set(targets):
            found.append(StatedChange(sentence, says, start))
    return found


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
