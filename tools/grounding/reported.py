"""What a sentence says of a report of this patient: its words must be the report's, denied or doubted as there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from tools.grounding.agree import Problem
from tools.grounding.evidence import Evidence
from tools.grounding.lexicon import lexicon, plain_words
from tools.grounding.lookup import sentences_of
from tools.grounding.numbers import numbers_in
from tools.grounding.statement import Statement, read_statement
from tools.grounding.stems import stem
from tools.imaging.anatomy import vocabulary

_WORD = re.compile(r"[^\W\d_][\w'-]*")
_CLAUSE = re.compile(r"[,;](?!\s*(?:which|that|who|whose)\b)|\bbut\b|\bhowever\b", re.IGNORECASE)
_TURNING = ("negation", "uncertain", "certain")


@dataclass(frozen=True)
class _Said:
    """One clause: its words, and whether it denies, doubts or insists."""

    words: frozenset[str]
    denies: bool
    doubts: bool
    insists: bool

    def turned_like(self, other: _Said) -> bool:
        return (self.denies, self.doubts) == (other.denies, other.doubts)


def report_problems(statement: Statement, reports: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield words that no report of this patient has, or has only where it denies or doubts them."""
    theirs = [said for e in reports for sentence in sentences_of(e.text) for said in _said(sentence)]
    every = frozenset().union(*(said.words for said in theirs)) if theirs else frozenset()
    for ours in _said(statement.text):
        if missing := sorted(ours.words - every):
            yield Problem("not covered", f"the report does not speak of “{missing[0]}”")
        elif ours.words and not any(ours.words <= said.words for said in theirs) and not _in_parts(ours, theirs):
            yield Problem("not covered", "the report does not say these words together")
        elif ours.words and not any(ours.words & s.words and ours.turned_like(s) for s in _holding(ours, theirs)):
            how = "denies" if not ours.denies else "states"
            yield Problem("contradicted", f"the report {how} or doubts what this sentence does not")
        if ours.insists and not any(said.insists for said in theirs):
            yield Problem("contradicted", "it is more certain than the report")


def _holding(ours: _Said, theirs: Sequence[_Said]) -> list[_Said]:
    """Return the report's clauses that hold all of the words, else those that hold most."""
    whole = [said for said in theirs if ours.words <= said.words]
    if whole:
        return whole
    most = max((len(ours.words & said.words) for said in theirs), default=0)
    return [said for said in theirs if len(ours.words & said.words) == most]


def _in_parts(ours: _Said, theirs: Sequence[_Said]) -> bool:
    """Return whether clauses that are turned alike hold the words between them, as in a list of findings.

    An adjective must not pass to another noun: each clause used adds two words or more, or is a whole clause.
    """
    left = set(ours.words)
    for said in sorted(theirs, key=lambda s: -len(s.words & ours.words)):
        shared = said.words & left
        if said.turned_like(ours) and (len(shared) > 1 or (shared and said.words <= ours.words)):
            left -= shared
    return not left


@cache
def _quoting() -> frozenset[str]:
    return frozenset(stem(w) for w in lexicon()["attribution"]["quote"])


def _noun(word: str) -> str:
    """Return the organ that an adjective means: "splenic" → "spleen"; another word as it is."""
    targets = vocabulary().adjectives.get(word, ())
    return targets[0].partition("_")[0] if targets else word


@lru_cache(maxsize=2048)
def _said(text: str) -> tuple[_Said, ...]:
    return tuple(_clause(part) for part in _CLAUSE.split(text) if part.strip())


def _clause(text: str) -> _Said:
    loaded = read_statement(text).loaded
    turning = {word for group in _TURNING for word in loaded[group]}
    passed = _quoting() | {stem(word) for word in turning}
    for number in reversed(numbers_in(text)):
        text = f"{text[: number.start]} {text[number.end :]}"  # values and units are compared as such
    words = (w.lower().strip("'-").removesuffix("'s") for w in _WORD.findall(text))
    kept = (w.removesuffix("-sided") for w in words if len(w) > 1 and w not in plain_words() and stem(w) not in passed)
    return _Said(
        frozenset(stem(_noun(w)) for w in kept),
        denies=bool(loaded["negation"]),
        doubts=bool(loaded["uncertain"]),
        insists=bool(loaded["certain"]),
    )
