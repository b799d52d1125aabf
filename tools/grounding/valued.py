"""What was measured of a structure, and which two structures a comparison names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.grounding.agree import sum_of_parts
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.statement import Statement
from tools.grounding.structures import expand, other_side

_THAN = re.compile(r"[^.;:]{0,60}?\b(?:than|as|compared\s+(?:to|with)|relative\s+to)\b", re.IGNORECASE)
_OTHER = re.compile(
    r"\b(?:than|exceeds|of)\s+(?:the|its)\s+(?:other|counterpart|opposite|contralateral|two|both|pair)\b", re.I
)
_VERB = re.compile(
    r"(?:exceed|surpass|outsiz|outweigh|outmeas|outstrip|tops|(?:above|over|below|under)\s)", re.IGNORECASE
)
_CHOSEN = re.compile(r"\b(?:the|a)\s+$", re.IGNORECASE)


@dataclass(frozen=True)
class Sides:
    """The two structures of a comparison: what is said to be more or less, and than what."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    than: tuple[int, int]
    """Where the words stand that lead to the second."""
    implied: bool = False
    """Whether the second is only meant: "the bigger of the two"."""


def values_of(names: Sequence[str], name: str, found: Sequence[Evidence]) -> Iterator[Quantity]:
    """Yield what was measured of a structure: its own rows, else the sum of the volumes of all its parts.

    Args:
        names: the structure, or the parts that it is made of.
        name: the quantity.
        found: the evidence.
    """
    parts = expand(names)
    for evidence in found:
        rows = [q for q in evidence.quantities if q.name == name and len(q.targets) == 1]
        own = [q for q in rows if expand(q.targets) == parts]
        yield from own
        if not own and name == "volume" and (total := sum_of_parts(parts, evidence)):
            yield total


def sides_named(statement: Statement, word: tuple[int, int]) -> Sides | None:
    """Return which two structures a comparative word compares, or None where it names no two."""
    text = statement.text
    named = [s for s in statement.structures if s.names and len(expand(s.names)) >= 1]
    before = [s for s in named if s.end <= word[0]]
    is_verb = bool(_VERB.match(text[word[0] : word[1]]))
    than = _THAN.match(text, word[1])
    start = word[1] if is_verb else than.end() if than else -1
    if start >= 0:
        after = [s for s in named if s.start >= start]
        between = [s for s in named if than and word[1] <= s.start < _than_at(text, word[1])]
        first = between[0] if between else before[-1] if before else None
        lead = (_than_at(text, word[1]), start) if than and not is_verb else (word[1], word[1])
        if first is not None and after and after[0].names != first.names:
            return Sides(first.names, after[0].names, lead)
        if first is not None and (other := other_side(first.names[0])) and (found := _OTHER.search(text, word[1])):
            return Sides(first.names, (other,), (lead[0], found.end()) if found.start() <= lead[0] else found.span())
        return None
    return _implied(statement, word) or _named_around(statement, word)


def _than_at(text: str, position: int) -> int:
    found = re.compile(r"\b(?:than|as|compared\s+(?:to|with)|relative\s+to)\b", re.IGNORECASE).search(text, position)
    return found.start() if found else position


def _named_around(statement: Statement, word: tuple[int, int]) -> Sides | None:
    """Read "on the left the volume is lower: 1489 ml compared with 1904 ml on the right"."""
    before = [s for s in statement.structures if s.end <= word[0] and len(s.names) == 1]
    after = [s for s in statement.structures if s.start >= word[1] and len(s.names) == 1]
    if len({s.names for s in before}) == 1 and after and after[0].names == (other_side(before[0].names[0]),):
        return Sides(before[0].names, after[0].names, (word[1], word[1]))
    return None


def _implied(statement: Statement, word: tuple[int, int]) -> Sides | None:
    """Read "the right lung is the bigger of the two" and "the right has the higher index"."""
    if not _CHOSEN.search(statement.text, 0, word[0]):
        return None
    single = [s for s in statement.structures if len(s.names) == 1 and other_side(s.names[0])]
    if len({s.names for s in single}) != 1:
        return None
    name = single[0].names[0]
    of_two = re.compile(r"\s+(?:one\s+)?of\s+(?:the\s+)?(?:two|both)\b", re.IGNORECASE).match(statement.text, word[1])
    return Sides((name,), (other_side(name),), of_two.span() if of_two else (word[1], word[1]), implied=True)
