"""Assertion by the ConText method: which words of a sentence negate, doubt, date or only consider a finding.

Method: Chapman et al., J Biomed Inform 34 (2001) 301 (NegEx); Harkema et al., J Biomed Inform 42 (2009) 839 (ConText).
A trigger reaches to the end of its clause; a clause ends at a terminating word, a semicolon, or where a new statement
with its own verb begins after a comma or an "and".
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from knowledge.hits import Assertion
from knowledge.patterns import PatternIndex, PatternMatch

_RANK: dict[Assertion, int] = {"present": 0, "uncertain": 1, "absent": 2, "hypothetical": 3, "historical": 4}
_PASSIVE = (
    r"(?:seen|identified|noted|present|evident|visualized|demonstrated|appreciated|detected|observed|found|suggested"
    r"|apparent|shown)"
)
_VERB = (
    rf"(?:is|are|has|have|was|were|appears?|remains?|demonstrates?|shows?|measures?)\b(?!\s+(?:\w+\s+)?{_PASSIVE}\b)"
)
_NEW_STATEMENT = re.compile(
    rf"(?:,\s+(?:and\s+)?|\s+and\s+)(?=(?!(?:or|nor|no|without)\b)(?:[\w\-/']+\s+){{1,5}}?{_VERB})"
    r"|,?\s+and\s+(?=(?:an?|the|there)\s)|;|:\s(?!none\b|negative\b|absent\b|not?\b)|\.\s"
)


@dataclass(frozen=True)
class Scope:
    """A stretch of text under a trigger."""

    kind: Assertion
    start: int
    end: int


@dataclass(frozen=True)
class _Trigger:
    kind: str
    reach: str
    start: int
    end: int


class Context:
    """Trigger terms and what they do.

    Args:
        table: the content of context.toml.
    """

    def __init__(self, table: dict[str, dict[str, list[str]]]) -> None:
        self._index = PatternIndex(
            (f"{kind}|{reach}", pattern)
            for kind, reaches in table.items()
            for reach, patterns in reaches.items()
            for pattern in patterns
        )

    def scopes(self, text: str) -> list[Scope]:
        """Return the stretches of a lower-case sentence under each trigger, the trigger's own words included."""
        triggers = _longest([_trigger(match) for match in self._index.find(text)])
        edges = sorted({0, len(text), *_clause_edges(text, triggers)})
        return [_scope(trigger, kind, edges) for trigger in triggers for kind in _RANK if kind == trigger.kind]


def _scope(trigger: _Trigger, kind: Assertion, edges: list[int]) -> Scope:
    left = max(edge for edge in edges if edge <= trigger.start)
    right = min(edge for edge in edges if edge >= trigger.end)
    return Scope(
        kind,
        trigger.start if trigger.reach == "before" else left,
        trigger.end if trigger.reach == "after" else right,
    )


def assertion_of(start: int, end: int, scopes: list[Scope], ignore_inside: bool = False) -> Assertion:
    """Return how a sentence asserts what stands between two offsets.

    Args:
        start: first character.
        end: behind the last character.
        scopes: of the sentence.
        ignore_inside: leave out triggers that begin inside: the wording holds its own "not".
    """
    reaching = [scope for scope in scopes if scope.start < end and start < scope.end]
    if ignore_inside:
        reaching = [scope for scope in reaching if scope.start < start]
    return max((scope.kind for scope in reaching), key=lambda kind: _RANK[kind], default="present")


@cache
def load_context() -> Context:
    """Return the shipped trigger terms."""
    return Context(tomllib.loads(Path(__file__).with_name("context.toml").read_text(encoding="utf-8")))


def _trigger(match: PatternMatch) -> _Trigger:
    kind, _, reach = match.label.partition("|")
    return _Trigger(kind, reach, match.start, match.end)


def _longest(triggers: list[_Trigger]) -> list[_Trigger]:
    kept: list[_Trigger] = []
    for trigger in sorted(triggers, key=lambda found: (found.start - found.end, found.start, found.kind)):
        if not any(trigger.start < other.end and other.start < trigger.end for other in kept):
            kept.append(trigger)
    return kept


def _clause_edges(text: str, triggers: list[_Trigger]) -> Iterator[int]:
    yield from (match.start() for match in _NEW_STATEMENT.finditer(text))
    yield from (trigger.start for trigger in triggers if trigger.kind == "terminate")
