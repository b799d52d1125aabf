"""Patient identifiers out of reports before anything is stored: what was masked is counted, never shown."""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from knowledge.readers.incoming import Incoming
from knowledge.report import Report, Section

_MIN_IDENTIFIER_CHARS = 3  # a shorter name or number would mask ordinary words
_REMOVED = re.compile(r"[xX\s.,]+")  # a collection took it out before
_NAME_PARTS = re.compile(r"[\s,^]+")
_COMMON_WORDS = frozenset(
    {"and", "the", "for", "with", "von", "van", "del", "los", "new", "old", "may", "chest", "lung"}
)


class Masked(NamedTuple):
    """A report without identifiers, and how many of each kind were taken out."""

    report: Report
    counts: Counter[str]


class Span(NamedTuple):
    """Where an identifier stands, end exclusive, and of which kind it is."""

    start: int
    end: int
    kind: str


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = tomllib.loads(Path(__file__).with_name("masking.toml").read_text(encoding="utf-8"))
    return tuple((kind, re.compile(rule, re.IGNORECASE)) for kind, expressions in table.items() for rule in expressions)


def mask(incoming: Incoming, salt: str) -> Masked:
    """Replace identifiers in a report's text and title by [NAME], [NUMBER], …; the patient becomes a key.

    Args:
        incoming: the report and the identifiers its format marks.
        salt: secret of the store; the same patient gets the same key in one store and another in the next.
    """
    report = incoming.report
    known = _identifier_patterns(incoming.identifiers)
    spans = _find(report.text, known)
    title_spans = _find(report.title, known)
    counts = Counter(span.kind for span in (*spans, *title_spans))
    if report.patient is not None:
        counts["patient"] += 1
    fields = report.model_dump() | {
        "text": _replace(report.text, spans),
        "title": _replace(report.title, title_spans),
        "sections": tuple(_moved(section, spans) for section in report.sections),
        "patient": None if report.patient is None else patient_key(report.patient, salt),
    }
    return Masked(Report.model_validate(fields), counts)


def identifiers_in(text: str, known: Iterable[str] = ()) -> list[Span]:
    """Return the identifiers of a text, in order, without overlaps.

    Args:
        text: anything that a person or a report says.
        known: names and numbers that are the patient's, found wherever they stand, in parts too.
    """
    return _find(text, _identifier_patterns(tuple(known)))


def patient_key(patient: str, salt: str) -> str:
    """Return the key under which a patient's reports are kept together."""
    return f"P-{hashlib.sha256(f'{salt}|{patient}'.encode()).hexdigest()[:12]}"


@lru_cache(maxsize=8)
def _identifier_patterns(identifiers: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    patterns = []
    for identifier in identifiers:
        whole = [identifier, *_NAME_PARTS.split(identifier)]
        for part in dict.fromkeys(whole):
            if len(part) >= _MIN_IDENTIFIER_CHARS and part.lower() not in _COMMON_WORDS:
                kind = "number" if any(character.isdigit() for character in part) else "name"
                spaced = _NAME_PARTS.sub(r"[\\s,^]+", re.escape(part).replace(r"\ ", " ").replace(r"\^", " "))
                patterns.append((kind, re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)))
    return patterns


def _find(text: str, known: list[tuple[str, re.Pattern[str]]]) -> list[Span]:
    found = []
    for kind, pattern in (*known, *_rules()):
        for match in pattern.finditer(text):
            group = "mask" if "mask" in pattern.groupindex else 0
            start, end = match.span(group)
            if start < end and not _REMOVED.fullmatch(text, start, end):
                found.append(Span(start, end, kind))
    found.sort(key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in found:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:
            kept[-1] = Span(kept[-1].start, span.end, kept[-1].kind)
    return kept


def _replace(text: str, spans: list[Span]) -> str:
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], _token(span)]
        position = span.end
    return "".join([*pieces, text[position:]])


def _token(span: Span) -> str:
    return f"[{span.kind.upper()}]"


def _moved(section: Section, spans: list[Span]) -> Section:
    return Section(name=section.name, start=_offset(section.start, spans), end=_offset(section.end, spans))


def _offset(position: int, spans: list[Span]) -> int:
    """Return where a character of the old text stands in the new one; inside a masked stretch: behind its token."""
    shift = 0
    for span in spans:
        if span.start >= position:
            break
        shift += len(_token(span)) - (min(span.end, position) - span.start)
    return position + shift
