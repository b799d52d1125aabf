"""The tab Report: the draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.components.citing import sentence_html
from ui.components.html import element, text
from ui.render import paragraphs_of

if TYPE_CHECKING:
    from agent.answer import Answer


def draft_html(answer: Answer) -> str:
    """Return the draft report."""
    if answer.draft is None:
        return ""
    draft = answer.draft
    parts = "".join(
        element("h4", text(p.title)) + "".join(sentence_html(c) for c in p.claims) for p in paragraphs_of(draft)
    )
    head = element(
        "h3", text("Draft report"), element("small", text(f"worded by {draft.worded_by}, to be read and signed"))
    )
    return element("article", head, parts, css="rr-draft")
