"""What every comparison comes to: rows between two sides, each named with its date, and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.changes import Change, ChangeRow, Quote
from tools.claims import readable, shown
from tools.errors import UnsupportedError

if TYPE_CHECKING:
    from tools.results import ModelUse


@dataclass(frozen=True)
class Sides:
    """What a comparison is between."""

    current: str
    prior: str
    current_date: str
    prior_date: str


@dataclass(frozen=True)
class Made:
    """What a comparison found."""

    rows: Sequence[ChangeRow]
    notes: Sequence[str]
    files: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    model: ModelUse | None = None
    quoted: tuple[Quote, ...] = ()
    said: str = ""
    """The sentence where no size was compared."""


def change_of(sides: Sides, made: Made) -> Change:
    """Return the result of a comparison.

    Raises:
        UnsupportedError: nothing was compared; says why.
    """
    if not made.rows and not made.said:
        raise UnsupportedError(
            f"nothing that {sides.current} and {sides.prior} both show could be measured: {'; '.join(made.notes)}"
        )
    dates = [
        f"{name}: study of {date}." if date else f"{name} does not say its date."
        for name, date in ((sides.current, sides.current_date), (sides.prior, sides.prior_date))
    ]
    return Change(
        summary=_summary(sides, made.rows) if made.rows else made.said,
        files=made.files,
        figures=made.figures,
        model=made.model,
        notes=tuple(dict.fromkeys((*dates, *made.notes))),
        current=sides.current,
        prior=sides.prior,
        current_date=sides.current_date,
        prior_date=sides.prior_date,
        rows=tuple(made.rows),
        quoted=made.quoted,
    )


def _summary(sides: Sides, rows: Sequence[ChangeRow]) -> str:
    """Return the sizes' verdicts in one sentence."""
    sizes = [r for r in rows if r.quantity in ("volume", "area", "longest_diameter", "cardiothoracic_ratio")] or list(
        rows
    )
    parts = []
    for row in sizes[:4]:
        by = "" if row.difference is None else f" by {shown(row.difference, row.unit)}"
        parts.append(f"{readable(row.target)} {row.status}{by if row.status == 'changed' else ''}")
    more = f"; and {len(sizes) - 4} more" if len(sizes) > 4 else ""
    return f"{sides.current} against {sides.prior}: {'; '.join(parts)}{more}."
