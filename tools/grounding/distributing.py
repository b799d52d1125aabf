"""What is said of each of two sides, and of one of them: "each kidney measures 171 ml"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import Problem, Wanted, agrees, wanted_by
from tools.grounding.evidence import Evidence
from tools.grounding.numbers import NumberSaid
from tools.grounding.statement import Statement
from tools.grounding.structures import sides_of

_EACH = re.compile(r"\b(?:each|either|every)\s+(?:of\s+)?(?:(?:the|its)\s+)?(?:two\s+)?$", re.IGNORECASE)
_ONE = re.compile(r"\b(?:one|a single)\s+(?:of\s+)?(?:(?:the|its)\s+)?(?:two\s+)?$", re.IGNORECASE)
PAIR = 2


def side_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield a value said of each side that one of them does not have, and a value said of one side that neither has."""
    for named in statement.structures:
        sides = sides_of(named.names)
        last_word = statement.text.rfind(" ", 0, named.end)  # the name may hold "each" of "each kidney" itself
        before = statement.text[: last_word + 1]
        each, one = _EACH.search(before), _ONE.search(before)
        if not (each or one) or len(sides) < PAIR:
            continue
        for number in statement.numbers:
            wanted = wanted_by(statement, number)
            if wanted.subject != named or not number.unit:
                continue
            there = [_has(side, number, wanted, found) for side in sides]
            if not (all(there) if each else any(there)):
                how = "each side" if each else "one side alone"
                yield Problem("contradicted", f"{number.text} was not measured of {how} of the {named.text.lower()}")


def _has(side: str, number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]) -> bool:
    rows = [q for e in found for q in e.quantities if q.targets == (side,)]
    return any(wanted.names(q, number) and agrees(number, q) for q in rows)
