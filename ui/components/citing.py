"""Sentences and what they cite, tied together on the page: ui/static/reading.js marks one when the other is pointed at.

A sentence carries the ids of its evidence in `data-cites`, a piece of evidence its own id in `data-source`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.components.show import Show, show_button

if TYPE_CHECKING:
    from tools.places import Place, Region
    from tools.results import Claim

MARKS = {
    "synthetic": "SYNTHETIC: not a real image",
    "mock": "MOCK: no tool computed this",
    "opinion": "OPINION of a model, not a measurement",
}
_KIND_MARKS = {
    "model opinion": "opinion of a model",
    "model score": "score of a model",
    "not examined": "not examined",
    "quoted": "another patient",
    "by a person": "by a person",
}


def sentence_html(claim: Claim, marks: Iterable[str] = ()) -> str:
    """Return a sentence with its evidence, its kind where that matters, and the marks of what it rests on.

    Args:
        claim: the sentence.
        marks: of its evidence: synthetic, mock, opinion.
    """
    kinds = [_KIND_MARKS[claim.kind]] if claim.kind in _KIND_MARKS else []
    if is_disagreement(claim):
        kinds.append("sources disagree")
    badges = "".join(element("em", text(k), css="rr-mark") for k in kinds) + marks_html(marks)
    return element(
        "p",
        text(claim.text),
        " ",
        "".join(citation_html(i, claim.where) for i in dict.fromkeys(claim.evidence)),
        badges,
        css="rr-sentence" + (" rr-disagrees" if is_disagreement(claim) else ""),
        data_cites=json.dumps(list(claim.evidence)),
        tabindex="0",
    )


def is_disagreement(claim: Claim) -> bool:
    """Return whether a sentence says that sources contradict each other."""
    return claim.kind == "general" and len(claim.evidence) > 1 and "isagree" in claim.text


def citation_html(evidence_id: str, places: Iterable[Place]) -> str:
    """Return an evidence id as a button: to its place in the viewer where it has one, else to its card."""
    region = next((p.region for p in places if p.evidence == evidence_id and p.region), None)
    if region is not None:
        return show_button(evidence_id, show_of(region))
    if evidence_id.startswith("img"):
        return show_button(evidence_id, Show(volume=evidence_id))
    return element(
        "button", text(evidence_id), css="rr-id", type="button", data_go=evidence_id, title="Show in the tab Evidence"
    )


def show_of(region: Region) -> Show:
    """Return what the viewer has to show for a place in an image."""
    mask = f"{region.mask}/{region.target}" if region.mask and region.target else ""
    in_mm = region.lower_mm is not None and region.upper_mm is not None
    corners = (region.lower_mm, region.upper_mm) if in_mm else (region.lower, region.upper)
    is_box = corners[0] is not None and corners[1] is not None and not mask
    return Show(
        volume=region.image,
        mask=mask,
        world=region.position_mm,
        voxel=None if region.position_mm else region.voxel,
        box=(corners[0], corners[1]) if is_box and corners[0] and corners[1] else None,
        frame="world" if in_mm else "voxel",
        ends=region.ends,
    )


def marks_html(marks: Iterable[str]) -> str:
    """Return marks as words that nobody can overlook."""
    return "".join(element("em", text(MARKS.get(m, m)), css="rr-mark rr-mark-strong") for m in dict.fromkeys(marks))


def held_back_html(sentences: Iterable[str]) -> str:
    """Return the sentences that are not shown as true, each with its reason; nothing where there is none."""
    rows = [_held(sentence) for sentence in sentences]
    if not rows:
        return ""
    title = element("h3", text("Held back: not supported by the evidence"))
    return element("div", title, element("ul", *rows), css="rr-held")


def _held(sentence: str) -> str:
    said, sign, reason = sentence.rpartition(" — held back: ")
    if not sign:
        return element("li", text(sentence))
    return element("li", element("s", text(said)), element("small", text(f"Why: {reason}")))
