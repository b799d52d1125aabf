"""Takes a request apart: parts that ask for one thing each, words and phrases, the language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.planner.frames import without_lead_ins, without_purpose

MAX_CHARACTERS = 4000  # far above any real request
_BREAKS = re.compile(r"(?<=[\w)\"'])\s*[;?!]+(?:\s+|$)|(?<=[\w)\"']{2})\.\s+|\n+|(?<=\w)\.$")
_JOINTS = re.compile(
    r"\s*(?:,\s*(?:and\s+|then\s+|also\s+|plus\s+)*|\s(?:and|then|plus|&|\+|afterwards|after that)\s+)"
    r"(?:then\s+|also\s+|finally\s+|afterwards\s+|please\s+)*",
    re.I,
)
_FIRST_THEN = re.compile(r",?\s+(?:before|prior to|ahead of)\s+(?:you\s+|(?:the|any)\s+)?", re.I)
_THEN_FIRST = re.compile(r",?\s+(?:after|following|once)\s+(?:you(?: have|'ve)?\s+|(?:the|it is|it was)\s+)?", re.I)
_DOUBLE, _SINGLE = '"\u201c\u201d\u201e\u00ab\u00bb', "'\u2018\u2019"
_QUOTED = re.compile(
    rf"[{_DOUBLE}]([^{_DOUBLE}]{{2,}})[{_DOUBLE}]|(?<!\w)[{_SINGLE}]([^{_SINGLE}]{{3,}})[{_SINGLE}](?!\w)"
)
_CONDITION = re.compile(
    r"(?:and |but )?(?:if|when|in case|provided|unless|should)\b(?! you\b| possible\b|"
    r",? (?:it|that|this)(?:'s| is) (?:not |no |at all )*(?:too |much )*(?:trouble|bother|ok|okay|fine|possible))",
    re.I,
)
_TRAILING = re.compile(
    r"(?P<then>(?!tell|say|check|see|let|show me if|i'd)\w+\b.{3,}?)\s+(?P<if>(?:if|when|unless)\s.*"
    r"\b(?:above|below|over|under|more|less|greater|larger|smaller|exceeds?|positive|present|there is|fine|found|so)"
    r"\b.*)$",
    re.I,
)
_CONTEXT = re.compile(
    r"(?:this|that|these|it|he|she|they|here)(?:'s|'re|\s+(?:is|was|are|were|has|had|comes?|shows?))\s+"
    r"(?!good|ok|okay|too|full|safe)"
    r"|(?:the|my|our) (?:patient|case) (?:is|has|had|was|came|presents?|complains?)\b"
    r"|(?:i|we) (?:have|got|just|had) (?:a|an|this|the|got|received|uploaded)\b"
    r"|here (?:is|are)\b|attached (?:is|are|you)\b|\d+[- ]?(?:year|yo|y/o)",
    re.I,
)
_COURSE = re.compile(
    r"\s*\b(?:before|after|since|prior to|following|during|pre|post)[\s-]+(?:the |her |his |their |this |last |first )*"
    r"(?:treatment|therapy|surgery|operation|chemo\w*|radio\w*|radiation|resection|biopsy|ablation|transplant\w*)\b",
    re.I,
)
"""When something was: no question of treatment, whatever it is compared with."""
_WORD = re.compile(r"[^\W_]+(?:[-'.][^\W_]+)*")


@dataclass(frozen=True)
class Clause:
    """A part of a request that asks for one thing."""

    text: str
    condition: str = ""
    """What it depends on: "if the volume is above 5 l"; empty: nothing."""


@cache
def words() -> Mapping[str, Any]:
    """Return the tables of words.toml."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def clauses(request: str) -> list[Clause]:
    """Return the parts of a request, in order; quoted text stays whole."""
    kept: list[str] = []
    quotes: list[str] = []

    def hide(found: re.Match[str]) -> str:
        quotes.append(found[0])
        return f"qq{len(quotes) - 1}qq"

    hidden = _QUOTED.sub(hide, " ".join(request.split()))
    for sentence in filter(None, (s.strip() for s in _BREAKS.split(hidden) if s)):
        asked = without_lead_ins(sentence, lead_words() - frozenset(words()["clauses"]["no_imperatives"]))
        if kept and asked == [sentence] and _elaborates(sentence, kept[-1]):
            kept[-1] = f"{kept[-1]}: {sentence}"
        else:
            kept += [part for text in asked for part in _parts(text)]
    shown = [re.sub(r"qq(\d+)qq", lambda found: quotes[int(found[1])], part).strip(" ,;") for part in kept]
    return _with_conditions([without_purpose(part) for part in shown if _WORD.search(part)])


def asking(request: str) -> list[Clause]:
    """Return the parts of a request that ask for something: no courtesy, and no mere account of what is there."""
    wanted = [part for part in clauses(request) if not is_polite(part.text)]
    return [part for part in wanted if not is_context(part.text)] or wanted or [Clause(request)]


def _parts(sentence: str) -> Iterable[str]:
    """Split a sentence where a new request begins."""
    start = 0
    leads = lead_words()
    for joint in _JOINTS.finditer(sentence):
        following = _WORD.search(sentence, joint.end())
        if following is None or following.start() != joint.end() or joint.start() <= start:
            continue
        is_new = following[0].lower() in leads
        if is_new and _has_content(sentence[start : joint.start()]):
            yield sentence[start : joint.start()]
            start = joint.end()
    yield sentence[start:]


def joints(part: str) -> list[tuple[str, str]]:
    """Return every way to split a part in two, in the order of doing; quoted text stays whole.

    It is split at "and", "then", a comma or a plus, and at "before" and "after".
    """
    quotes = [found.span() for found in _QUOTED.finditer(part)]
    pairs = []
    for pattern in (_JOINTS, _FIRST_THEN, _THEN_FIRST):
        for joint in pattern.finditer(part):
            left, right = part[: joint.start()].strip(" ,;"), part[joint.end() :].strip(" ,;")
            is_quoted = any(start < joint.start() < end for start, end in quotes)
            if not is_quoted and len(right.split()) > 1 and _WORD.search(left):
                pairs.append((right, left) if pattern is _THEN_FIRST else (left, right))
    return pairs[:6]


def _elaborates(sentence: str, before: str) -> bool:
    """Return whether a sentence only goes on with the one before, as in "What is this? Modality, size, spacing"."""
    is_condition = bool(_CONDITION.match(sentence))
    return (
        not begins_anew(sentence)
        and not is_condition
        and not is_polite(before)
        and not is_context(before)
        and len(sentence.split()) <= 6
    )


def is_context(text: str) -> bool:
    """Return whether a sentence only says what is there, as in "This is a CT of a man of 60"."""
    return bool(_CONTEXT.match(text)) or all(w.lower() in _labels_only() for w in _WORD.findall(text))


@cache
def _labels_only() -> frozenset[str]:
    """Return words that only say what an image is: "CT chest", "MR head, T1"."""
    return frozenset(words()["clauses"]["labels"])


def is_form(text: str) -> bool:
    """Return whether a text says only in what form a result is wanted, as in "want the boxes and scores"."""
    form = frozenset(words()["clauses"]["form"])
    return all(w.lower() in form for w in _WORD.findall(text))


def written_out(text: str) -> str:
    """Return a text for comparison with examples: abbreviations written out, without "before surgery" and the like."""
    short = words()["shorthand"]
    undated = _COURSE.sub("", text)
    return _WORD.sub(lambda found: short.get(found[0].lower(), found[0]), undated if _WORD.search(undated) else text)


def _has_content(text: str) -> bool:
    return not is_polite(text)


def _with_conditions(parts: Sequence[str]) -> list[Clause]:
    """Attach "if so" and "if the volume is above 5 l" to what depends on them."""
    found: list[Clause] = []
    condition = ""
    for part in parts:
        if _CONDITION.match(part) and not condition:
            condition = part
            continue
        trailing = _TRAILING.match(part)
        if trailing and not condition:
            found.append(Clause(trailing["then"], trailing["if"]))
        else:
            found.append(Clause(part, condition))
        condition = ""
    return found or ([Clause(condition)] if condition else [])


@cache
def lead_words() -> frozenset[str]:
    """Return the words with which a request begins."""
    return frozenset(words()["clauses"]["leads"])


def is_polite(text: str) -> bool:
    """Return whether a text is only courtesy."""
    left = f" {text.lower()} "
    for phrase in sorted(words()["clauses"]["polite"], key=len, reverse=True):
        left = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", " ", left)
    return not _WORD.search(left)


def without_courtesy(text: str) -> str:
    """Return a text without "please" and the like at its ends; the text itself where nothing else is in it."""
    bare = text
    for phrase in sorted(words()["clauses"]["polite"], key=len, reverse=True):
        bare = re.sub(
            rf"^\s*{re.escape(phrase)}(?!\w)[\s,]*|[\s,]*(?<!\w){re.escape(phrase)}\s*$", "", bare, flags=re.I
        )
    return bare if _WORD.search(bare) else text


def begins_anew(text: str) -> bool:
    """Return whether a text begins with a word that begins requests."""
    first = _WORD.search(text)
    return first is not None and first[0].lower() in lead_words()


def has_phrase(text: str, phrases: Iterable[str]) -> int:
    """Return where the first of some phrases stands, counted from 1; 0: none is there."""
    return min((at for p in phrases if (at := _find(text.lower(), p.lower()))), default=0)


def _find(text: str, phrase: str) -> int:
    found = _pattern(phrase).search(text)
    return found.start() + 1 if found else 0


@cache
def _pattern(phrase: str) -> re.Pattern[str]:
    stem = re.escape(phrase.removesuffix("*")).replace(r"\ ", r"[\s-]+")
    return re.compile(rf"(?<![\w]){stem}" + (r"" if phrase.endswith("*") else r"(?!\w)"))


def quoted(text: str) -> str:
    """Return the first quoted stretch, without its quotes; "" where nothing is quoted."""
    found = _QUOTED.search(text)
    return (found[1] or found[2]).strip() if found else ""


def is_english(text: str) -> bool:
    """Return whether a request can be read as English; a few foreign words or names do no harm."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return True
    if sum(not c.isascii() for c in letters) > 0.3 * len(letters):
        return False
    tokens = [w.lower() for w in _WORD.findall(text)]
    lists = words()["languages"]
    foreign = sum(t in lists["foreign"] for t in tokens)
    return foreign < 2 or foreign <= sum(t in lists["english"] for t in tokens)


_SIDED = r"\b(left|right)\s+([a-z]+)\b(.{1,80}?)\b"
_OTHER_ONE = re.compile(rf"{_SIDED}(?!\1)(left|right)(?:\s+one\b|['’]s\b)", re.IGNORECASE | re.DOTALL)
_OTHER_SIDE = re.compile(
    rf"{_SIDED}((?:than|or|and|with|versus|vs\.?)\s+(?:the\s+)?)(?!\1)(left|right)(?=\W*$|[,;.?!])",
    re.IGNORECASE | re.DOTALL,
)
_TO_OTHER = re.compile(
    r"\b(left|right)(\s+(?:to|versus|vs\.?|over|by|against|with|than)\s+(?:the\s+)?)(?!\1)(left|right)\s+([a-z]+)\b",
    re.I,
)


def with_sides_named(text: str) -> str:
    """Name what has the other side too: "the left lung and the right one", "left to right lung"."""
    text = _OTHER_SIDE.sub(r"\1 \2\3\4\5 \2", _OTHER_ONE.sub(r"\1 \2\3\4 \2", text))
    return _TO_OTHER.sub(r"\1 \4\2\3 \4", text)
