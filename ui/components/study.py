"""The page's frame as HTML: header, what is to be attached, the empty conversation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.render import RESEARCH_USE, facts_text

if TYPE_CHECKING:
    from ui.uploads import Brought
    from ui.view import AttachmentView

HEADER = (
    '<header class="rr-header"><div><span class="rr-name">Reading Room</span>'
    "<span>Ask about a study. Check every sentence.</span></div>"
    f'<p class="rr-notice">{text(RESEARCH_USE)}</p></header>'
)

EMPTY = (
    '<div class="rr-empty"><p class="rr-hello">What would you like to know about this study?</p>'
    "<p>Attach an image or take a sample case, then ask in plain language. The plan is shown before it runs, and every "
    "sentence of the answer points at its evidence.</p></div>"
)


def brought_html(items: Iterable[Brought], attached: Iterable[AttachmentView] = ()) -> str:
    """Return what is in this reading already and what the next request will attach."""
    rows = [
        element("li", element("b", text(a.name)), element("small", text(facts_text(a.facts))), css="rr-in")
        for a in attached
    ]
    rows += [_brought(i) for i in items]
    return element("ul", *rows, css="rr-brought") if rows else ""


def _brought(item: Brought) -> str:
    if item.problem:
        return element("li", element("b", text(item.name)), element("p", text(item.problem)), css="rr-bad")
    note = f"{len(item.choices)} series: choose one below" if item.choices else "ready to attach"
    return element("li", element("b", text(item.name)), element("small", text(note)))
