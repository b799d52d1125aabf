"""Finds choices that are commands: "remove", "keep", "ignore" are said of anything and meant only with their noun.

In "remove the dates and keep the face" each command goes with the noun that follows it; in "dates shifted, face
removed" with the one before it; "do not remove the face" means the other choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agent.planner.text import words

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[.;:]")
_STOPS = frozenset({".", ";", ":", "but"})
_NOT = frozenset({"not", "don't", "don’t", "dont", "doesn't", "never", "without", "no", "shouldn't", "mustn't"})
_OPPOSITES = {"remove": "keep", "keep": "remove", "find": "ignore", "ignore": "find"}
_REACH = 6
"""Words between a noun and its command: "remove the patient's name, dates and face"."""
_LINKS = frozenset({"is", "are", "be", "was", "to", "should", "must", "being", "been", "not", "can"})


class _Said(NamedTuple):
    at: int
    """Number of the word."""
    choice: str


def is_command(choices: Sequence[Any]) -> bool:
    """Return whether an argument's choices are commands."""
    return bool(set(map(str, choices)) & set(words()["commands"]))


def commands_in(
    name: str, choices: Sequence[Any], text: str, says: Mapping[str, Sequence[str]]
) -> list[tuple[int, Any]]:
    """Return the choices that a text commands, with where, counted from 1.

    Args:
        name: the argument; its parts are the nouns that a command must go with.
        choices: the allowed values.
        text: a person's words.
        says: what people say for a choice without naming the noun: "deface".
    """
    found = list(_TOKEN.finditer(text.lower()))
    tokens = [token[0] for token in found]
    said = [one for at, token in enumerate(tokens) if _names(name, token) and (one := _governing(tokens, at))]
    for choice, phrases in says.items():
        said += [
            _Said(at, _turned(choice, tokens, at))
            for at, token in enumerate(tokens)
            if any(_fits(token, phrase) for phrase in phrases)
        ]
    return [(found[one.at].start() + 1, one.choice) for one in said if one.choice in choices]


def _names(name: str, token: str) -> bool:
    nouns = {part for part in name.split("_") if len(part) > 2}
    return token in nouns | {f"{n}s" for n in nouns} | {n.removesuffix("s") for n in nouns}


def _governing(tokens: Sequence[str], noun: int) -> _Said | None:
    """Return the command of a noun: a participle right behind it, else the nearest before it, else one further on."""
    behind = noun + 1
    while behind < len(tokens) and tokens[behind] in _LINKS:
        behind += 1
    right_behind = _command(tokens, behind) if _is_participle(tokens, behind) else None
    return (
        right_behind
        or _nearest(tokens, range(noun - 1, noun - 1 - _REACH, -1))
        or _nearest(tokens, range(noun + 1, noun + 1 + _REACH))
    )


def _is_participle(tokens: Sequence[str], at: int) -> bool:
    return at < len(tokens) and (tokens[at].endswith(("ed", "able")) or tokens[at] in ("kept", "cut"))


def _nearest(tokens: Sequence[str], places: range) -> _Said | None:
    for at in places:
        if not 0 <= at < len(tokens) or tokens[at] in _STOPS:
            return None
        if said := _command(tokens, at):
            return said
    return None


def _command(tokens: Sequence[str], at: int) -> _Said | None:
    if not 0 <= at < len(tokens):
        return None
    for choice, verbs in words()["commands"].items():
        if any(_fits(tokens[at], verb) for verb in verbs):
            return _Said(at, _turned(choice, tokens, at))
    return None


def _turned(choice: str, tokens: Sequence[str], at: int) -> str:
    """Return the choice, or its opposite where the words before it deny it; "" where it has none."""
    if any(token in _NOT for token in tokens[max(0, at - 3) : at]):
        return _OPPOSITES.get(choice, "")
    return choice


def _fits(token: str, phrase: str) -> bool:
    return token.startswith(phrase[:-1]) if phrase.endswith("*") else token == phrase
