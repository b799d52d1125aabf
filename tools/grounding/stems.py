"""Forms of one word: "clipped" and "clipping" are the same to a check of which words the evidence has."""

from __future__ import annotations

from functools import lru_cache

_ENDINGS = ("ations", "ation", "ings", "ing", "ments", "ment", "edly", "ed", "ions", "ion", "es", "s", "ly", "e")
MIN_STEM = 4  # shorter stems are shared by words that have nothing to do with each other


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return a word without the ending that a verb or plural takes."""
    if word.endswith("ss"):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM:
            rest = word.removesuffix(ending)
            return rest[:-1] if len(rest) > MIN_STEM and rest[-1] == rest[-2] and rest[-1] not in "ls" else rest
    return word
