"""Where, how much and since when: the words around a finding."""

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from knowledge.patterns import PatternIndex, PatternMatch

_IGNORE = "ignore"
_PREPOSITIONS = (
    "in",
    "of",
    "at",
    "within",
    "overlying",
    "involving",
    "along",
    "near",
    "over",
    "to",
    "from",
    "on",
    "by",
    "for",
)


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("modifiers.toml").read_text(encoding="utf-8"))


@cache
def modifier_labels() -> tuple[str, ...]:
    """Return every "axis:value", in the file's order."""
    return tuple(f"{axis}:{value}" for axis, values in _table().items() for value in values if axis != _IGNORE)


@cache
def _index() -> PatternIndex:
    return PatternIndex(
        (f"{axis}:{value}", pattern)
        for axis, values in _table().items()
        for value, patterns in values.items()
        for pattern in patterns
    )


def attach_modifiers(text: str, spans: Sequence[tuple[int, int]]) -> list[frozenset[str]]:
    """Return for each finding's span the "axis:value" of the modifiers that belong to it.

    A modifier inside a span belongs to it. After a preposition it belongs to the finding before it, else to the next
    finding of its clause, else to the one before.

    Args:
        text: a lower-case sentence.
        spans: where findings are named.
    """
    found: list[set[str]] = [set() for _ in spans]
    previous_end, owner = -1, None
    for match in _modifiers(text):
        is_continued = owner is not None and not text[previous_end : match.start].strip(" -/")
        owner = owner if is_continued else _owner(text, match, spans)
        previous_end = max(previous_end, match.end)
        for place, (start, end) in enumerate(spans):
            is_inside = start <= match.start and match.end <= end
            if is_inside or (owner is not None and _overlap((start, end), spans[owner])):
                found[place].add(match.label)
    return [frozenset(labels) for labels in found]


def _modifiers(text: str) -> list[PatternMatch]:
    matches = sorted(_index().find(text), key=lambda found: (found.start, found.end))
    ignored = [(match.start, match.end) for match in matches if match.label.startswith(_IGNORE)]
    return [match for match in matches if not any(_overlap((match.start, match.end), span) for span in ignored)]


def _overlap(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _owner(text: str, match: PatternMatch, spans: Sequence[tuple[int, int]]) -> int | None:
    before = [place for place, span in enumerate(spans) if span[1] <= match.start]
    after = [place for place, span in enumerate(spans) if span[0] >= match.end]
    previous = max(before, key=lambda place: spans[place][1], default=None)
    following = min(after, key=lambda place: spans[place][0], default=None)
    words = text[: match.start].split()
    is_after_preposition = bool(words) and (words[-1] in _PREPOSITIONS or words[-2:-1] == ["in"] or words[-1] == "the")
    if previous is not None and (is_after_preposition or following is None):
        return previous
    return following
