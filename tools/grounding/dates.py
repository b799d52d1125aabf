"""Dates as people write them, against the dates that evidence holds: "September 2025" is 2025-09-02."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LEADING = re.compile(r"^(?:in|since|from|of|on|until|before|after|dated|last|to|and)\s+", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_NUMERIC = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})[a-z]*\b", re.IGNORECASE)
_YEAR = re.compile(r"\b((?:19|20)\d{2})\b")
_DAY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\b(?!\d)")


def bare_date(text: str) -> str:
    """Return a date without the word that leads to it."""
    return _LEADING.sub("", text)


def is_date_of(said: str, held: str) -> bool:
    """Return whether a date as written, whole or only month and year, is that of a text in the form 2026-01-31."""
    if (month := _MONTH.search(said)) and not re.search(r"\d", said):
        number = _MONTHS.index(month[1].lower()) + 1
        return any(int(match[2]) == number for match in _ISO.finditer(held))
    days = [tuple(int(part) for part in match.groups()) for match in _ISO.finditer(held)]
    return any(reading == day[: len(reading)] for day in days for reading in _readings(said))


def _readings(said: str) -> Iterator[tuple[int, ...]]:
    """Yield year, month and day, as far as a date says them; day and month both ways round where they are figures."""
    if iso := _ISO.search(said):
        yield tuple(int(part) for part in iso.groups())
    elif numeric := _NUMERIC.search(said):
        first, second, year = (int(part) for part in numeric.groups())
        yield year, first, second
        yield year, second, first
    elif (year_said := _YEAR.search(said)) is not None:
        month = _MONTH.search(said)
        if month is None:
            yield (int(year_said[1]),)
            return
        number = _MONTHS.index(month[1].lower()) + 1
        day = _DAY.search(_YEAR.sub("", said))
        yield (int(year_said[1]), number, int(day[1])) if day else (int(year_said[1]), number)
