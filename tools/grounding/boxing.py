"""Boxes of a detection compared: "the first has the highest score", "box 2 scores lower than box 1"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from tools.grounding.evidence import Evidence
from tools.grounding.phrasing import phrases, places_named
from tools.grounding.statement import Statement
from tools.grounding.worked import Worked, contradicted

_POINT = re.compile(r"[^.;,]{0,20}\b(?:operating|threshold|cut-?off)", re.IGNORECASE)
_SCORES = re.compile(r"\b(?:scor\w+|confiden\w+|certain\w*)\b", re.IGNORECASE)


def boxes_compared(statement: Statement, found: Sequence[Evidence]) -> Iterator[Worked]:
    """Decide which box is said to be more, or most of all, by score or by size."""
    boxes = [box for e in found for box in e.boxed]
    named = places_named(statement.text, len(boxes)) if len(boxes) > 1 else []
    if not named or any(place >= len(boxes) for place, _, _ in named):
        return
    by_score = bool(_SCORES.search(statement.text))
    sizes = [prod(box.size) for box in boxes]
    values = [box.score or 0.0 for box in boxes] if by_score else sizes
    for table in ("comparative", "superlative"):
        for match in phrases(table).finditer(statement.text):
            if _POINT.match(statement.text, match.end()):
                continue  # against its operating point, not against another box
            yield from _decided(match, [place for place, _, _ in named], values)


def _decided(match: re.Match[str], places: Sequence[int], values: Sequence[float]) -> Iterator[Worked]:
    first, *others = [values[p] for p in places]
    rest = others[:1] or [v for p, v in enumerate(values) if p != places[0]]
    is_more = str(match.lastgroup).endswith("_up")
    if all((first > v) is is_more and first != v for v in rest):
        yield Worked((match.span(),))
    else:
        yield contradicted(f"“{match.group()}”: the boxes of the evidence are not so")
