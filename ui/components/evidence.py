"""The tab Evidence: the sentences of an answer beside what they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ui.components.citing import held_back_html, is_disagreement, marks_html, sentence_html, show_of
from ui.components.html import element, image, text
from ui.components.show import Show, show_button

if TYPE_CHECKING:
    from tools.results import Claim
    from tools.sources import Source

MAX_PLACES = 6
CONTEXT = 240
"""Characters of a report that are shown before and behind the sentence that matched."""


@dataclass(frozen=True)
class Matched:
    """A stored report with the sentence that matched."""

    sentence: str
    why: str
    section: str = ""
    collection: str = ""
    before: str = ""
    """The report's own words before the sentence."""
    after: str = ""


@dataclass(frozen=True)
class Card:
    """One piece of evidence as the tab shows it."""

    source: Source
    matched: Matched | None = None
    pictures: tuple[str, ...] = ()
    """Addresses of the pictures that show it."""


@dataclass(frozen=True)
class EvidenceView:
    """What the tab shows of one answer."""

    request: str
    claims: Sequence[Claim] = ()
    held_back: Sequence[str] = ()
    cards: Mapping[str, Card] = field(default_factory=dict)


def evidence_tab_html(view: EvidenceView) -> str:
    """Return sentences and evidence side by side."""
    marks = {i: card.source.marks for i, card in view.cards.items()}

    def of(claims: Iterable[Claim]) -> str:
        return "".join(sentence_html(c, [m for i in c.evidence for m in marks.get(i, ())]) for c in claims)

    disagreeing = [c for c in view.claims if is_disagreement(c)]
    quoted = [c for c in view.claims if c.kind == "quoted"]
    spoken = [c for c in view.claims if c not in disagreeing and c not in quoted]
    left = [
        element("h3", text("Sentences"), element("small", text(view.request))),
        of(spoken) or element("p", text("The answer holds no sentence of its own."), css="rr-soft"),
        _part("Sources disagree", of(disagreeing), "rr-disagreeing"),
        held_back_html(view.held_back),
        _part("Quoted from reports of other patients", of(quoted), "rr-quoted"),
    ]
    right = [element("h3", text("Evidence")), *(card_html(card) for card in view.cards.values())]
    return element(
        "div", element("div", *left, css="rr-said"), element("div", *right, css="rr-cards"), css="rr-evidence-view"
    )


def _part(title: str, body: str, css: str) -> str:
    return element("div", element("h3", text(title)), body, css=css) if body else ""


def card_html(card: Card) -> str:
    """Return one piece of evidence."""
    source = card.source
    return element(
        "article",
        element("header", element("b", text(source.id), css="rr-id"), element("span", text(source.title))),
        marks_html(source.marks),
        _matched(card.matched) if card.matched else _quote(source.quote),
        _places(source),
        "".join(image(address, f"Picture of {source.id}") for address in card.pictures[:1]),
        css=f"rr-card{' rr-missing' if source.kind == 'missing' else ''}",
        data_source=source.id,
        tabindex="0",
    )


def _matched(matched: Matched) -> str:
    where = " · ".join(part for part in (matched.section, matched.collection) if part)
    return element(
        "blockquote",
        element("span", text(matched.before), css="rr-soft"),
        element("mark", text(matched.sentence)),
        element("span", text(matched.after), css="rr-soft"),
    ) + element("small", text(f"Why it matched: {matched.why}" + (f" ({where})" if where else "")), css="rr-why")


def _quote(quote: str) -> str:
    return element("blockquote", element("mark", text(quote))) if quote else ""


def _places(source: Source) -> str:
    regions = [p.region for p in source.places if p.region][:MAX_PLACES]
    buttons = [show_button(region.words, show_of(region), css="rr-place") for region in dict.fromkeys(regions)]
    if not buttons and source.image:
        buttons = [show_button(f"show {source.image}", Show(volume=source.image), css="rr-place")]
    return element("div", *buttons, css="rr-places") if buttons else ""
