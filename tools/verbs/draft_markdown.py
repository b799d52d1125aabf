"""A draft as Markdown, with the evidence of each sentence behind it. Text from elsewhere is shown as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tools.results import Claim, Draft
from tools.sources import Source

NOTICE = "Research use only. Not a medical device. A draft for a person to read, check and sign; not a diagnosis."
BYLINES = (
    r"(?:Composed from templates|Worded by .{1,80}); every sentence names its evidence\.",
    r"Draft report",
    r"No result to report was given\.",
)
"""What a draft says of itself, as patterns: no claim about the patient."""
EVIDENCE = "Evidence of the sentences above"
"""Heading of the list that the ids in brackets lead to; what follows it makes no claim."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def as_markdown(draft: Draft, evidence: Mapping[str, Sequence[tuple[Claim, Source]]] | None = None) -> str:
    """Return the draft as Markdown: headings in the order of a report, evidence ids in brackets.

    Args:
        draft: the draft.
        evidence: per id the sentences that cite it, each with its source: the ids in brackets become links to a list of
            them. None: there is no list.
    """
    by = "composed from templates" if draft.worded_by == "template" else f"worded by {escaped(draft.worded_by)}"
    parts = ["# Draft report", "", f"> {NOTICE}", f"> {by[0].upper()}{by[1:]}; every sentence names its evidence.", ""]
    parts += _section("Technique", draft.technique)
    parts += _section("Findings", draft.findings, empty="No result to report was given.")
    parts += _section("Impression", draft.impression, numbered=True)
    parts += _section("Similar reports (other patients)", draft.similar)
    parts += _section("Limitations", draft.limitations)
    if draft.held_back:
        parts += ["## Held back", "", *(f"- {escaped(text)}" for text in draft.held_back), ""]
    parts += _evidence(evidence or {})
    return "\n".join(parts).rstrip() + "\n"


def _evidence(evidence: Mapping[str, Sequence[tuple[Claim, Source]]]) -> list[str]:
    """Return what the ids in brackets lead to: a heading each, which viewers make an anchor of, and their targets."""
    lines: list[str] = []
    for evidence_id, cited in evidence.items():
        lines += [f"### {evidence_id}", "", escaped(cited[0][1].title), ""]
        places = [(c.text, place.words) for c, source in cited for place in source.places]
        lines += [f"- “{escaped(text)}”: {escaped(words)}" for text, words in places]
        lines += [""] if places else []
    if not lines:
        return []
    return [f"## {EVIDENCE}", "", *lines, *(f"[{i}]: #{i.lower()}" for i in evidence)]


def _section(title: str, claims: Iterable[Claim], *, numbered: bool = False, empty: str = "") -> list[str]:
    lines = [_line(c, f"{i}." if numbered else "-") for i, c in enumerate(claims, 1)]
    if not lines and not empty:
        return []
    return [f"## {title}", "", *(lines or [empty]), ""]


def _line(claim: Claim, bullet: str) -> str:
    ids = "".join(f" [{i}]" for i in claim.evidence)
    return f"{bullet} {escaped(claim.shown)}{ids}"


def escaped(text: str) -> str:
    """Return text so that Markdown and HTML in it are shown, not obeyed."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
