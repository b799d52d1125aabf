"""Places as coordinates: what stands behind x, y and z must be the evidence's first, second and third number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import Problem, agrees
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.statement import Statement

_AXIS = re.compile(r"(?<![\w×])([xyz])\s*[=:]?\s*$", re.IGNORECASE)
_BEHIND = re.compile(
    r"(?:\s+(?:to|and|–)\s+[−-]?[\d.,]+)?(?:\s+mm)?\s+(?:in|along|on)\s+(?:the\s+)?([xyz])(?:[\s-]+(?:axis|direction))?\b",
    re.IGNORECASE,
)
_COUNT = 3


def axis_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield coordinates that the evidence has on another axis, or not at all."""
    places = [(unit, values) for e in found for unit, values in e.sequences if len(values) == _COUNT]
    for number in statement.numbers if places else ():
        axis = _AXIS.search(statement.text, 0, number.start) or _BEHIND.match(statement.text, number.end)
        if axis is None:
            continue
        index = "xyz".index(axis.group(1).lower())
        if not any(agrees(number, Quantity(values[index], unit)) for unit, values in places):
            yield Problem("contradicted", f"{number.text} is not the evidence's {axis.group(1)}")
