"""A draft as Markdown, with the evidence of each sentence behind it. Text from elsewhere is shown as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tools.results import Claim, Draft

NOTICE = "Research use only. Not a medical device. A draft for a person to read, check and sign; not a diagnosis."
BYLINES = (
    r"(?:Composed from templates|Worded by .{1,80}); every sentence names its evidence\.",
    r"Draft report",
    r"No result to report was given\.",
)
"""What a draft says of itself, as patterns: no claim about the patient."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def as_markdown(draft: Draft) -> str:
    """Return the draft as Markdown: headings in the order of a report, evidence ids in brackets."""
    by = "composed from templates" if draft.worded_by == "template" else f"worded by {escaped(draft.worded_by)}"
    parts = ["# Draft report", "", f"> {NOTICE}", f"> {by[0].upper()}{by[1:]}; every sentence names its evidence.", ""]
    parts += _section("Technique", draft.technique)
    parts += _section("Findings", draft.findings, empty="No result to report was given.")
    parts += _section("Impression", draft.impression, numbered=True)
    parts += _section("Similar reports (other patients)", draft.similar)
    parts += _section("Limitations", draft.limitations)
    if draft.held_back:
        parts += ["## Held back", "", *(f"- {escaped(text)}" for text in draft.held_back), ""]
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, claims: Iterable[Claim], *, numbered: bool = False, empty: str = "") -> list[str]:
    lines = [_line(c, f"{i}." if numbered else "-") for i, c in enumerate(claims, 1)]
    if not lines and not empty:
        return []
    return [f"## {title}", "", *(lines or [empty]), ""]


def _line(claim: Claim, bullet: str) -> str:
    ids = "".join(f" [{i}]" for i in claim.evidence)
    return f"{bullet} {escaped(claim.text)}{ids}"


def escaped(text: str) -> str:
    """Return text so that Markdown and HTML in it are shown, not obeyed."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
