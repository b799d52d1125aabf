"""Sections and sentences of a report's text, as character offsets."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from knowledge.report import Section

MAX_SENTENCE_CHARS = 1000
"""A longer run without a full stop is cut at a blank, so that text without punctuation stays usable."""

_ABBREVIATIONS = r"(?:\b(?:dr|mr|mrs|ms|prof|vs|approx|ca|cf|fig|no|nos|e\.g|i\.e|resp|st|inc|etc|pt)|\b[A-Z])"
_BOUNDARY = re.compile(
    r"(?P<stop>[.!?;]+)(?=\s|$)"  # full stop and a blank
    r"|(?<=[a-z)])\.(?=[A-Z][a-z])"  # "effusion.The heart"
    r"|\n\s*\n|\n(?=\s*(?:[-*•]|\d{1,2}[.)])\s)"  # a blank line, a list item
)
_ABBREVIATED = re.compile(_ABBREVIATIONS + r"$", re.IGNORECASE)
_LEADING = re.compile(r"(?:\s|[-*•.,;:]+(?=\s|$)|\(?\d{1,2}[.)](?=\s|$))*")


class Span(NamedTuple):
    """Character offsets, end exclusive."""

    start: int
    end: int


@cache
def _heading_names() -> dict[str, str]:
    table = tomllib.loads(Path(__file__).with_name("sections.toml").read_text(encoding="utf-8"))
    return {heading: name for name, headings in table.items() for heading in headings}


@cache
def _heading_pattern() -> re.Pattern[str]:
    words = sorted(_heading_names(), key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"[ \t]+") for word in words)
    return re.compile(
        rf"^[ \t]*(?:(?P<colon>{either})[ \t]*:|(?P<alone>{either})[ \t]*$)", re.IGNORECASE | re.MULTILINE
    )


def split_sections(text: str) -> tuple[Section, ...]:
    """Return the sections of a plain text by their headings; text before any heading is "body"."""
    found = [match for match in _heading_pattern().finditer(text) if _is_heading(match)]
    edges = [(0, 0, "body")]
    for match in found:
        heading = re.sub(r"\s+", " ", (match["colon"] or match["alone"]).lower())
        edges.append((match.start(), match.end(), _heading_names()[heading]))
    ends = [start for start, _, _ in edges[1:]] + [len(text)]
    sections = []
    for (_, start, name), end in zip(edges, ends, strict=True):
        span = _stripped(text, start, end)
        if span.start < span.end:
            sections.append(Section(name=name, start=span.start, end=span.end))
    return tuple(sections)


def _is_heading(match: re.Match[str]) -> bool:
    alone = match["alone"]
    return alone is None or alone.isupper() or alone.istitle()


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the sentences between two offsets, without list numbers and surrounding blanks.

    Args:
        text: the whole text; spans count its characters.
        start: where to begin.
        end: where to stop, exclusive; None: at the end of the text.
    """
    stop = len(text) if end is None else end
    spans: list[Span] = []
    begin = start
    for match in _BOUNDARY.finditer(text, start, stop):
        if match["stop"] == "." and _ABBREVIATED.search(text, max(begin, match.start() - 8), match.start()):
            continue
        _add(spans, text, begin, match.end())
        begin = match.end()
    _add(spans, text, begin, stop)
    return spans


def sentence_key(sentence: str) -> str:
    """Return the form under which equal sentences are stored once.

    Lower case without the closing full stop; offsets into it are offsets into the sentence.
    """
    lowered = sentence.lower()
    return (lowered if len(lowered) == len(sentence) else sentence).rstrip(" .;!\n\t")


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    span = _stripped(text, start, end)
    leading = _LEADING.match(text, span.start, span.end)
    begin = leading.end() if leading else span.start
    while span.end - begin > MAX_SENTENCE_CHARS:
        cut = text.rfind(" ", begin + 1, begin + MAX_SENTENCE_CHARS)
        cut = begin + MAX_SENTENCE_CHARS if cut <= begin else cut
        spans.append(Span(begin, cut))
        begin = cut
    span = _stripped(text, begin, span.end)
    if any(character.isalpha() for character in text[span.start : span.end]):
        spans.append(span)


def _stripped(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def section_name(heading: str) -> str | None:
    """Return the section that a heading opens; None where it is no heading we know."""
    return _heading_names().get(re.sub(r"\s+", " ", heading.strip().rstrip(":").lower()))
