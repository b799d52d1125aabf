"""Shares of a whole, against the measured volumes: "87 % of the volume of the right", "more than half of the total"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import wanted_by
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.numbers import NumberSaid
from tools.grounding.phrasing import is_about, number_at, phrases
from tools.grounding.statement import Statement
from tools.grounding.structures import expand, other_side
from tools.grounding.valued import values_of
from tools.grounding.worked import Worked, contradicted

_SHARE = re.compile(
    r"\s*(?:of|from)\s+(?:the\s+|all\s+|its\s+|both\s+)?(?P<total>total|whole|entire|overall|combined|summed)?", re.I
)


def shares(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide the shares of a sentence that measured volumes decide."""
    for number in statement.numbers:
        share = _SHARE.match(statement.text, number.end) if number.unit == "%" else None
        if share is None:
            continue
        part, whole = _part_and_whole(statement, number, share)
        if part is None or whole is None:
            continue
        wanted = wanted_by(statement, number).quantity
        if wanted is not None and wanted.names[0] == "emphysema_index":
            continue
        yield from _shared(statement, found, number, part, whole)


def _part_and_whole(
    statement: Statement, number: NumberSaid, share: re.Match[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return what is a share, and of what, where a sentence names both."""
    after = [s for s in statement.structures if s.start >= share.end() - 1 and s.names]
    before = [s for s in statement.structures if s.end <= number.start and s.names]
    whole = after[0].names if after and after[0].start - share.end() < len(" volume occupied by the ") else None
    part = before[-1].names if before else None
    if part is None and len(after) > 1:  # "more than half of the lung volume lies on the right"
        part = after[1].names
    if whole is None and share["total"] and part:
        whole = _united(part)
    return part, whole


def _united(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what both sides of a structure are together."""
    (first, *_) = names
    other = other_side(first)
    return (first, other) if other else names


def _shared(
    statement: Statement, found: Sequence[Evidence], number: NumberSaid, part: Sequence[str], whole: Sequence[str]
) -> Iterator[Worked]:
    first = next(values_of(part, "volume", found), None)
    second = next(values_of(whole, "volume", found), None)
    if first is None or second is None or expand(part) == expand(whole) or not second.value:
        return
    percent = Quantity(100 * first.value / second.value, "%")
    bound = next(
        (m for m in phrases("bound").finditer(statement.text) if number_at(statement, m.end()) is number), None
    )
    said = statement.text[bound.start() if bound else number.start : number.end]
    near = (
        re.search(r"\b(?:just|slightly|marginally|barely|(?:a )?little)\s+$", statement.text[: bound.start()], re.I)
        if bound
        else None
    )
    if bound:
        is_more = bound.lastgroup in ("more", "least")
        holds = (percent.value > number.value) is is_more
        holds = holds and (near is None or abs(percent.value - number.value) <= 5)
    else:
        holds = is_about(statement, number, percent)
    if not holds:
        yield contradicted(f"“{said}”: the share is {percent.value:.1f} %")
    else:
        yield Worked(((bound.start() if bound else number.start, number.end),))
