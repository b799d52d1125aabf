"""How stored reports are written: whole sentences or notes, millimetres or centimetres. Their findings stay with them.

Only these figures are taken from the reports; no word of theirs reaches a draft.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from knowledge.sentences import split_sections, split_sentences
from tools.results import Claim

_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|there|shows?|measures?|demonstrates?|appears?|remains?)\b", re.IGNORECASE
)
_NOTE = re.compile(r"^(?P<quantity>[A-Z][a-z ]+?) of the (?P<target>[^:]+): (?P<value>[^:]+)\.$")
_MM = re.compile(r"\d\s*(?:mm|millimet)", re.IGNORECASE)
_CM = re.compile(r"\d\s*(?:cm\b|centimet)", re.IGNORECASE)
_LENGTH = re.compile(r"(?P<number>\d+(?:\.\d+)?) mm\b")
MIN_SENTENCES = 5  # fewer say nothing of a style
MOST = 0.5


@dataclass(frozen=True)
class Style:
    """How to write; the default is notes in millimetres."""

    whole_sentences: bool = False
    centimetres: bool = False
    reports: int = 0
    """How many reports it was learned from."""

    @property
    def words(self) -> str:
        """The style in words, for a language model and for the reader."""
        length = "cm" if self.centimetres else "mm"
        return f"{'whole sentences' if self.whole_sentences else 'short notes'}, lengths in {length}"


def style_of(reports: Sequence[str]) -> Style:
    """Learn a style from whole reports; too little text gives the default."""
    sentences = [
        text[span.start : span.end]
        for text in reports
        for section in split_sections(text)
        for span in split_sentences(text, section.start, section.end)
    ]
    if len(sentences) < MIN_SENTENCES:
        return Style()
    with_verb = sum(bool(_VERB.search(s)) for s in sentences) / len(sentences)
    centimetres = sum(len(_CM.findall(t)) for t in reports)
    millimetres = sum(len(_MM.findall(t)) for t in reports)
    return Style(with_verb > MOST, centimetres > millimetres, len(reports))


def styled(claim: Claim, style: Style) -> Claim:
    """Return a sentence in a style; its numbers and what it is of stay."""
    text = claim.text
    if style.centimetres:
        text = _LENGTH.sub(_in_cm, text)
    note = _NOTE.match(text)
    if style.whole_sentences and note:
        quantity = note["quantity"].lower()
        article = "an" if quantity[0] in "aeiou" else "a"
        last = note["target"].split()[-1]
        has = "have" if last.endswith("s") and not last.endswith(("us", "as", "is")) else "has"
        text = f"The {note['target']} {has} {article} {quantity} of {note['value']}."
    return claim.model_copy(update={"text": text})


def _in_cm(found: re.Match[str]) -> str:
    return f"{float(found['number']) / 10:.1f} cm"
