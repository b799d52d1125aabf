"""The words by which a sentence is checked: lexicon.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def lexicon() -> dict[str, Any]:
    """Return the words of lexicon.toml."""
    return tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8"))


@cache
def plain_words() -> frozenset[str]:
    """Return the words that never change what a measured sentence says."""
    return frozenset(word for words in lexicon()["plain"].values() for word in words)


@cache
def dimension_of(quantity: str) -> str:
    """Return what kind of unit a quantity has; empty: none, or unknown."""
    return str(lexicon()["quantities"].get(quantity, {}).get("dimension", ""))


@cache
def pattern_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds any of the words, the longest first; a hyphen may be a blank."""
    either = "|".join(
        re.escape(w).replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]?") for w in sorted(words, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w])", re.IGNORECASE)


@cache
def groups_of_words(table: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each row of a table with what finds its words."""
    return tuple((name, pattern_of(tuple(words))) for name, words in lexicon()[table].items())


@cache
def quantity_words() -> tuple[dict[str, str], re.Pattern[str]]:
    """Return wording → quantity, and what finds the wordings."""
    words = {word: name for name, entry in lexicon()["quantities"].items() for word in entry["words"]}
    return words, pattern_of(tuple(words))
