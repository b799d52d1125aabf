"""What is said of each of two sides, and of one of them: "each kidney measures 171 ml"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import Problem, Wanted, agrees, sum_of_parts, wanted_by
from tools.grounding.evidence import Evidence
from tools.grounding.numbers import NumberSaid
from tools.grounding.statement import Statement
from tools.grounding.structures import Named, expand, sides_of
from tools.number_words import CARDINALS

_EACH = re.compile(r"\b(?:each|either|every|both)\s+(?:of\s+)?(?:(?:the|its)\s+)?(?:two\s+)?$", re.IGNORECASE)
_ONE = re.compile(r"\b(?:one|a single)\s+(?:of\s+)?(?:(?:the|its)\s+)?(?:two\s+)?$", re.IGNORECASE)
_EACH_BEHIND = re.compile(r"\s+(?:each|apiece)\b", re.IGNORECASE)
_COUNTED = re.compile(rf"\b(?:{'|'.join(CARDINALS[2:])}|several|many|[2-9])\s+$", re.IGNORECASE)
PAIR = 2


def side_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield a value said of each side that one of them does not have, and a value said of one side that neither has."""
    for named in statement.structures:
        sides = sides_of(named.names)
        last_word = statement.text.rfind(" ", 0, named.end)  # the name may hold "each" of "each kidney" itself
        before = statement.text[: last_word + 1]
        if len(sides) < PAIR:
            yield from _several(named, before, found)
            continue
        for number in statement.numbers:
            wanted = wanted_by(statement, number)
            if wanted.subject != named or not number.unit:
                continue
            each = _EACH.search(before) or _EACH_BEHIND.match(statement.text, number.end)
            there = [_has(side, number, wanted, found) for side in sides]
            if (each and not all(there) and not _is_whole(each, number, wanted, found)) or (
                _ONE.search(before) and not any(there)
            ):
                how = "each side" if each else "one side alone"
                yield Problem("contradicted", f"{number.text} was not measured of {how} of the {named.text.lower()}")


def _several(named: Named, before: str, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "two aortas": what was measured is one thing."""
    is_measured = any(q.targets == named.names for e in found if e.kind == "measurements" for q in e.quantities)
    if is_measured and named.text.lower().endswith("s") and (count := _COUNTED.search(before)):
        yield Problem("contradicted", f"“{count.group()}{named.text}”: one was measured")


def _has(side: str, number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]) -> bool:
    return any(
        wanted.names(q, number) and agrees(number, q) for e in found for q in e.quantities if q.targets == (side,)
    )


def _is_whole(each: re.Match[str], number: NumberSaid, wanted: Wanted, found: Sequence[Evidence]) -> bool:
    """Return whether "both" means the two together."""
    parts = expand(wanted.subject.names) if wanted.subject else frozenset()
    totals = [q for e in found for q in e.quantities if len(q.targets) == 1 and expand(q.targets) == parts]
    totals += [q for e in found if (q := sum_of_parts(parts, e)) is not None]
    return each.group().lower().startswith("both") and any(
        wanted.names(q, number) and agrees(number, q) for q in totals
    )
