"""The sentences of a draft, as text or Markdown, each with its section and the ids it cites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from knowledge.sentences import Span, section_name, split_sentences
from tools.grounding.statement import CITED, QUOTE
from tools.verbs.draft_markdown import BYLINES, EVIDENCE, NOTICE

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<title>.+?)\s*#*$")
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+")
_LABEL = re.compile(r"^\s*(?P<label>[A-Za-z][A-Za-z ()]{2,40}):\s*(?P<rest>.*)$", re.DOTALL)
_UNIT_STOP = re.compile(r"(?<=\d)\s?[lLgmsTV]\.(?=\s+[A-Z“])|(?<=[.!?])”(?=\s+[A-Z])")
_EVIDENCE = re.compile(rf"^## {re.escape(EVIDENCE)}\s*$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]<>#|!~])")


@dataclass(frozen=True)
class Passage:
    """One sentence of a draft."""

    text: str
    section: str = ""
    cited: tuple[str, ...] = ()
    start: int | None = None
    """Where its first character stands in the draft, and one behind its last; None: in no text."""
    end: int | None = None


def passages_of(text: str) -> list[Passage]:
    """Return the sentences of a draft in order; headings, the notice and the list of evidence of drafts are none."""
    return list(_located(text, _passages(before_evidence(text))))


def _located(text: str, passages: Iterable[Passage]) -> Iterator[Passage]:
    """Say where each passage stands: its characters in order; blanks, marks of Markdown and ids may lie between."""
    blank = CITED.sub(lambda m: " " * len(m.group()), text)
    places = [i for i, character in enumerate(blank) if not _is_between(character)]
    characters = "".join(blank[i] for i in places)
    behind = 0
    for passage in passages:
        wanted = "".join(c for c in passage.text if not _is_between(c))
        first = characters.find(wanted, behind) if wanted else -1
        if first < 0:
            yield passage
            continue
        behind = first + len(wanted)
        yield replace(passage, start=places[first], end=places[behind - 1] + 1)


def _is_between(character: str) -> bool:
    return character.isspace() or character in ">\\"


def before_evidence(text: str) -> str:
    """Return a draft without the list of evidence that our drafts end with."""
    return _EVIDENCE.split(text, maxsplit=1)[0]


def _passages(text: str) -> Iterator[Passage]:
    section = ""
    for block in _blocks(text):
        if heading := _HEADING.match(block):
            section = heading["title"].strip().lower()
            continue
        body = _BULLET.sub("", block.strip())
        body = re.sub(r"^\s*>\s?", "", body, flags=re.MULTILINE)
        body = _ESCAPE.sub(r"\1", body)
        label = _LABEL.match(body)
        if label and (name := section_name(label["label"])):
            section, body = name, label["rest"]
        elif (name := section_name(body)) and len(body.split()) <= 4:
            section = name
            continue
        if body.strip() and not _is_boilerplate(body):
            yield from _sentences(body, section)


def _blocks(text: str) -> Iterator[str]:
    """Yield list items, headings and paragraphs; a line that goes on belongs to the block before."""
    block: list[str] = []
    for line in text.splitlines():
        starts = not line.strip() or _HEADING.match(line) or _BULLET.match(line) or line.lstrip().startswith(">")
        is_section = (label := _LABEL.match(line)) and section_name(label["label"])
        if (starts or is_section or (block and _HEADING.match(block[-1]))) and block:
            yield "\n".join(block)
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield "\n".join(block)


def _sentences(body: str, section: str) -> Iterator[Passage]:
    """Split a block; ids that follow a sentence are its own, ids at the end of the block are for all without."""
    blank = CITED.sub(lambda m: " " * len(m.group()), body)
    spans = list(_spans(QUOTE.sub(lambda m: "“" + "x" * (len(m.group()) - 3) + m.group()[-2:], blank)))
    cited: list[list[str]] = [[] for _ in spans]
    for match in CITED.finditer(body):
        place = max((i for i, span in enumerate(spans) if span.start <= match.start()), default=None)
        if place is not None:
            cited[place] += [part.strip() for part in match.group(1).split(",")]
    for place in range(len(spans) - 2, -1, -1):
        cited[place] = cited[place] or cited[place + 1]
    for span, ids in zip(spans, cited, strict=True):
        yield Passage(" ".join(blank[span.start : span.end].split()), section, tuple(dict.fromkeys(ids)))


def _spans(text: str) -> Iterator[Span]:
    """Split at full stops, also behind a one-letter unit ("1.7 l. The liver …"); quotes are masked already."""
    start = 0
    for match in (*_UNIT_STOP.finditer(text), None):
        end = match.end() if match else len(text)
        yield from split_sentences(text, start, end)
        start = end


def _is_boilerplate(body: str) -> bool:
    said = " ".join(body.split())
    return said == NOTICE or any(re.fullmatch(byline, said) for byline in BYLINES)
