"""Abbreviations and shorthand, written out before a sentence is taken apart."""

from __future__ import annotations

import re
from functools import cache

from tools.grounding.lexicon import lexicon

_NUMERO = re.compile(r"\bno\.\s?(?=\d)", re.IGNORECASE)
_SIDE_LETTER = re.compile(r"(?<![\d\w.,] )(?<![\w.])[RL](?=\s*[:=]?\s*[−-]?\d)|(?<=[,;/] )[RL](?=\s*[:=]?\s*[−-]?\d)")
"""R or L before a number, and no litre behind one."""


@cache
def _abbreviations() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(lexicon()['abbreviations'])})(?![\w-])")


@cache
def _frames() -> re.Pattern[str]:
    """Return what finds phrases around a statement that say nothing themselves: "as you can see in the table"."""
    return re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in lexicon()["frames"]["phrases"]), re.IGNORECASE)


@cache
def _shorthand() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in lexicon()["shorthand"])
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def written_out(text: str) -> str:
    """Write out "EI" and the like, in capitals only; in brackets they stand behind their own words."""

    def spelled(match: re.Match[str]) -> str:
        known = text[match.start() - 1 : match.start()] == "(" and text[match.end() : match.end() + 1] == ")"
        return " " * len(match.group()) if known else str(lexicon()["abbreviations"][match.group()])

    text = _SIDE_LETTER.sub(lambda m: {"R": "right", "L": "left"}[m.group()], text)
    text = _NUMERO.sub("number ", text)
    text = _shorthand().sub(lambda m: str(lexicon()["shorthand"][m.group().lower()]), text)
    text = _frames().sub(lambda m: " " * len(m.group()), text)
    return _abbreviations().sub(spelled, text)
