"""What a sentence says: its findings with assertion, place, severity and change."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from knowledge.context import Scope, assertion_of, load_context
from knowledge.hits import Assertion
from knowledge.modifiers import attach_modifiers
from knowledge.vocabulary import Naming, load_vocabulary

ANALYSIS_VERSION = 1
"""Raised when this file's rules change: stored analyses are then made anew."""


@dataclass(frozen=True)
class Mention:
    """A finding in a sentence. `start` and `end` count characters of the sentence, end exclusive.

    `modifiers` are "axis:value" of modifiers.toml, sorted.
    """

    finding: str
    assertion: Assertion
    start: int
    end: int
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """The mentions of a sentence and the stretches of it that are negated."""

    mentions: tuple[Mention, ...]
    negated: tuple[tuple[int, int], ...]

    def to_json(self) -> str:
        """Return the form in which it is stored."""
        mentions = [[m.finding, m.assertion, m.start, m.end, list(m.modifiers)] for m in self.mentions]
        return json.dumps([mentions, self.negated], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Analysis":
        """Read the stored form."""
        mentions, negated = json.loads(text)
        return cls(
            tuple(Mention(m[0], m[1], m[2], m[3], tuple(m[4])) for m in mentions),
            tuple((start, end) for start, end in negated),
        )


@cache
def analysis_version() -> str:
    """Return what changes with the word lists or the rules."""
    lists = b"".join(
        Path(__file__).with_name(name).read_bytes() for name in ("findings.toml", "context.toml", "modifiers.toml")
    )
    return f"{ANALYSIS_VERSION}-{hashlib.sha256(lists).hexdigest()[:16]}"


def analyse(sentence: str) -> Analysis:
    """Return what a sentence says.

    Args:
        sentence: one sentence; upper and lower case are the same.
    """
    text = sentence.lower()
    scopes = load_context().scopes(text)
    namings = load_vocabulary().name_findings(text)
    modifiers = attach_modifiers(text, [(naming.start, naming.end) for naming in namings])
    mentions = []
    for naming, labels in zip(namings, modifiers, strict=True):
        assertion = _assert(naming, scopes)
        if assertion is not None:
            mentions.append(Mention(naming.finding, assertion, naming.start, naming.end, tuple(sorted(labels))))
    negated = tuple(sorted({(scope.start, scope.end) for scope in scopes if scope.kind == "absent"}))
    return Analysis(tuple(mentions), negated)


def _assert(naming: Naming, scopes: list[Scope]) -> Assertion | None:
    """Return the assertion; a negated or doubted statement of normality says nothing."""
    assertion = assertion_of(naming.start, naming.end, scopes, ignore_inside=naming.own_negation)
    if not naming.normal:
        return assertion
    return "absent" if assertion == "present" else None
