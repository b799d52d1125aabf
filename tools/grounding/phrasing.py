"""What the checks of comparisons share: their words in lexicon.toml, who denies, which number follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from tools.grounding.agree import agrees, value_in
from tools.grounding.evidence import Evidence, Quantity
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import NumberSaid
from tools.grounding.statement import Statement
from tools.grounding.worked import Span
from tools.number_words import ORDINALS

NEGATED = re.compile(
    r"\b(?:neither|nor|none|no)\b[^.;:,]*$|(?:\b(?:not|never)\b|n't\b)(?:\s+[\w-]+){0,4}?\s*$", re.IGNORECASE
)
"""A denial shortly before what it denies; "neither" and the like reach further."""
HEDGED = re.compile(r"\b(?:about|around|roughly|approximately|some|nearly|almost|circa|ca\.?|approx\.?|~)\s*$", re.I)
DIFFERENCE = re.compile(r"\b(?:difference|gap|differs?|differing|apart|minus|subtract(?:ed|ing))\b", re.IGNORECASE)
SPREADS = re.compile(r"\b(?:extend|spread|stretch|reach)(?:s|ed|ing|es)?\s+$", re.IGNORECASE)
"""Before "over": how far something goes, no bound."""
ROUGHLY = 0.05
"""By how much of itself a number behind "about" may be off."""


def _table(name: str) -> dict[str, tuple[str, ...]]:
    return {key: tuple(words) for key, words in lexicon()["comparing"][name].items()}


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(w).replace(r"\ ", r"\s+") for w in sorted(words, key=len, reverse=True))


@cache
def phrases(table: str) -> re.Pattern[str]:
    """Return what finds a row of a table of lexicon.toml, its name being the group that matches."""
    rows = "|".join(rf"(?P<{name}>{_either(words)})" for name, words in _table(table).items())
    return re.compile(rf"(?<![\w-])(?:{rows})(?![\w-])", re.IGNORECASE)


def number_at(statement: Statement, position: int) -> NumberSaid | None:
    """Return the number that follows, passing over "about" and the like."""
    for number in statement.numbers:
        between = statement.text[position : number.start]
        if number.start >= position:
            return number if not between.strip() or HEDGED.fullmatch(between.strip()) else None
    return None


def only_word(text: str, match: re.Match[str]) -> Span:
    """Return where the word stands that denies: "not" of "not larger", "n't" of "isn't larger"."""
    word = re.match(r"\w+|n't", match.group())
    return match.start(), match.start() + (word.end() if word else 0)


def sides_in(found: Sequence[Evidence]) -> tuple[str, ...]:
    """Return the structures of the evidence that have a side."""
    return tuple(dict.fromkeys(t for e in found for t in e.found if t.endswith(("_left", "_right"))))


_PLACE = re.compile(
    rf"\b(?:({'|'.join([*ORDINALS, 'last'])})"
    r"|(?:box|candidate|nodule|lesion|finding|detection|number|no\.?)\s#?(\d)\b)",
    re.IGNORECASE,
)


def places_named(text: str, count: int) -> list[tuple[int, int, int]]:
    """Return what a text names by its place in an order of `count` things: place from 0, start, end."""
    named = []
    for match in _PLACE.finditer(text) if count else ():
        word = (match[1] or "").lower()
        place = int(match[2]) - 1 if match[2] else count - 1 if word == "last" else ORDINALS.index(word)
        named.append((place, match.start(), match.end()))
    return named


def is_about(statement: Statement, number: NumberSaid, quantity: Quantity) -> bool:
    """Return whether a number equals a value as it is written, or nearly where "about" stands before it."""
    if agrees(number, quantity):
        return True
    value = value_in(number, quantity)
    hedged = bool(HEDGED.search(statement.text, 0, number.start))
    if not hedged or value is None:
        return False
    return abs(value - number.value) <= max(ROUGHLY * abs(value), 0.5 * number.step)


def told(quantity: Quantity) -> str:
    """Return a value with its unit, for a reason."""
    from tools.claims import shown

    return shown(quantity.value, quantity.unit)
