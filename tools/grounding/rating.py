"""Judgements of an image's quality, against those of the tool: "noise is acceptable", "the sharpness is poor"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tools.grounding.agree import Problem
from tools.grounding.evidence import Evidence
from tools.grounding.lexicon import lexicon
from tools.grounding.numbers import small_number
from tools.grounding.statement import Statement

_COUNT = re.compile(
    r"\b(?P<count>\w+)\s+(?:(?:of\s+(?:the\s+)?(?:(?P<total>\w+)\s+)?)?(?:(?:quality|image)\s+)*"
    r"(?:aspects?|measures?|criteri(?:a|on)|checks?|qualities|parameters?|them)\s+)?"
    r"(?:is|are|was|were|being)\s+(?:(?:rated|judged|called|graded)\s+)?(?:as\s+)?$",
    re.IGNORECASE,
)
_EXCEPT = re.compile(
    r"\b(?:except(?:\s+for)?|apart\s+from|aside\s+from|other\s+than|besides|but\s+for)\b", re.IGNORECASE
)
_DENIED = re.compile(r"(?:\b(?:not|never|nor|neither)\b|n't\b)(?:\s+\w+){0,2}\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Word:
    """A rating or an aspect in a sentence."""

    meaning: str
    start: int
    end: int
    text: str


def rated_words(found: Sequence[Evidence]) -> frozenset[str]:
    """Return the words by which the verdicts of the evidence may be told; they need no other support."""
    given = {verdict for e in found for _, verdict in e.ratings}
    verdicts = {w for v in given for w in (v, *lexicon()["ratings"]["verdicts"].get(v, ()))}
    called = (w for table in ("states", "aspects") for words in lexicon()["ratings"][table].values() for w in words)
    return frozenset(verdicts | set(called) | {"except", "apart"} if given else ())


def rating_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield judgements of a quality that the tool judged otherwise."""
    given = {aspect: verdict for e in found for aspect, verdict in e.ratings}
    if not given:
        return
    verdicts = list(_words(statement.text, "verdicts"))
    aspects = sorted((*_aspects(statement.text, given), *_words(statement.text, "states")), key=lambda w: w.start)
    for place, word in enumerate(verdicts):
        behind = verdicts[place - 1].end if place else 0
        yield from _judged(statement.text, word, behind, aspects, given)
    if not verdicts:
        for word in _words(statement.text, "states"):
            denied = bool(_DENIED.search(statement.text, 0, word.start))
            if statement.numbers:
                continue  # it says how much, not that it is too much
            if word.meaning in given and (given[word.meaning] == "ok") is not denied:
                yield Problem("contradicted", f"“{word.text}”: the tool judged it {given[word.meaning]}")


def _judged(
    text: str, word: _Word, behind: int, aspects: Sequence[_Word], given: Mapping[str, str]
) -> Iterator[Problem]:
    named = [a for a in aspects if 0 <= a.start - word.end <= 1]  # "acceptable blur"
    named = named or [a for a in aspects if behind <= a.start and a.end <= word.start]
    if named and (spared := _EXCEPT.search(text, 0, word.start)) and spared.end() <= named[0].start:
        others = {given[a] for a in given if a not in {n.meaning for n in named}}
        if others != {word.meaning} or any(given.get(n.meaning) == word.meaning for n in named):
            yield Problem("contradicted", f"“{spared.group()}”: the tool judged otherwise")
        return
    if not named and (count := _COUNT.search(text, 0, word.start)):
        yield from _counted(count, word, given)
        return
    named = named or [a for a in aspects if a.start >= word.end][:1] or [a for a in aspects if a.end <= word.start][-1:]
    told = {given.get(a.meaning, "nothing") for a in named}
    if told != {word.meaning} or _DENIED.search(text, 0, word.start):
        yield Problem("contradicted", f"“{word.text}”: the tool judged it {' and '.join(sorted(told)) or 'not'}")


def _counted(count: re.Match[str], word: _Word, given: Mapping[str, str]) -> Iterator[Problem]:
    there = sum(verdict == word.meaning for verdict in given.values())
    said = {"all": len(given), "none": 0, "no": 0}.get(count["count"].lower(), small_number(count["count"]))
    total = small_number(count["total"] or "")
    if said != there or (total is not None and total != len(given)):
        yield Problem("contradicted", f"“{word.text}”: the tool judged {there} of {len(given)} so")


def _aspects(text: str, given: Mapping[str, str]) -> Iterator[_Word]:
    for aspect in given:
        called = (aspect.replace("_", " "), *lexicon()["ratings"]["aspects"].get(aspect, ()))
        for match in _either(called).finditer(text):
            yield _Word(aspect, match.start(), match.end(), match.group())


def _words(text: str, table: str) -> Iterator[_Word]:
    found = [
        _Word(meaning, match.start(), match.end(), match.group())
        for meaning, words in lexicon()["ratings"][table].items()
        for match in _either((meaning, *words) if table == "verdicts" else tuple(words)).finditer(text)
    ]
    yield from sorted(found, key=lambda w: w.start)


@cache
def _either(words: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(re.escape(w).replace(r"\ ", r"[\s-]+") for w in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{either})s?(?![\w-])", re.IGNORECASE)
