"""Quotes: word for word, not cut so that they say something else, and never another patient's as this one's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import Problem
from tools.grounding.evidence import Evidence
from tools.grounding.lexicon import lexicon
from tools.grounding.lookup import sentences_of
from tools.grounding.statement import Statement

_PASSED_ON = re.compile(
    r"\b(?:here too|here as well|also here|same here|likewise here|as here|(?:this|our|the present|the current) "
    r"(?:patient|case)|in this one)\b",
    re.IGNORECASE,
)
_ABOUT_REPORTS = frozenset(
    {"similar", "archived", "archive", "collection", "corpus", "database", "knowledge", "open-i", "openi", "word",
     "verbatim", "answer", "vision", "answers", "answered", "vision-language", "language", "vlm", "case",
     "cases", "like"}
)  # fmt: skip
MAX_EXTRA = 40  # characters by which joined sentences may be longer than the quote before the search goes on


def quote_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield quotes that the cited text does not hold, and what stands around them without evidence."""
    texts = [e for e in found if e.text]
    if not statement.quotes:
        yield Problem("not covered", "it quotes no words of its source")
        return
    for quote in statement.quotes:
        holding = [e for e in texts if _holds(e.text, quote)]
        if not holding:
            yield Problem("contradicted", f"the quoted words “{quote[:60]}” are not in the cited report")
        elif all(_is_cut(e.text, quote) for e in holding):
            yield Problem("contradicted", f"the quoted words “{quote[:60]}” are only a part of a sentence")
    if any(e.source == "other report" for e in texts) and "other_patient" not in statement.attributed:
        yield Problem("contradicted", "it does not say that the report is of another patient")
    if any(e.is_opinion for e in texts) and "model" not in statement.attributed:
        yield Problem("contradicted", "it does not say that this is a model's opinion")
    yield from _around(statement)


def foreign_words(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield quotes that none of the cited texts holds."""
    for quote in statement.quotes:
        if not any(_holds(e.text, quote) for e in found if e.text):
            yield Problem("contradicted", f"the quoted words “{quote[:60]}” are not in the cited evidence")


def _around(statement: Statement) -> Iterator[Problem]:
    """Around a quote stands who is quoted, and nothing else."""
    if statement.mentions:
        first = statement.mentions[0]
        yield Problem("not covered", f"“{statement.text[first.start : first.end]}” stands outside the quoted words")
    loaded = [w for group in ("negation", "uncertain", "certain", "normality") for w in statement.loaded[group]]
    if loaded:
        yield Problem("not covered", f"“{loaded[0]}” stands outside the quoted words")
    passed = {w for words in lexicon()["attribution"].values() for part in words for w in part.split()} | _ABOUT_REPORTS
    if passed_on := _PASSED_ON.search(statement.text):
        yield Problem("contradicted", f"“{passed_on.group()}” makes another patient's report one of this patient")
    strange = [w for w in statement.rest if w.removesuffix("'s") not in passed and not re.fullmatch(r"[a-z]+\d+", w)]
    if strange:
        yield Problem("not covered", f"“{strange[0]}” stands outside the quoted words")
    if any(n.unit for n in statement.numbers):
        yield Problem("not covered", "a value stands outside the quoted words")


def _holds(text: str, quote: str) -> bool:
    return bool(quote.strip()) and " ".join(quote.split()) in " ".join(text.split())


def _is_cut(text: str, quote: str) -> bool:
    """Return whether less than whole sentences are quoted: what was left out may say the opposite."""
    sentences = [_bare(sentence) for sentence in sentences_of(text)]
    wanted = _bare(quote)
    for first in range(len(sentences)):
        joined = ""
        for sentence in sentences[first:]:
            joined = f"{joined}. {sentence}" if joined else sentence
            if _letters(joined) == _letters(wanted):
                return False
            if len(joined) > len(wanted) + MAX_EXTRA:
                break
    return True


def _bare(text: str) -> str:
    return " ".join(text.split()).strip(" .;")


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())
