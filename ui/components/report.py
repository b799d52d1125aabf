"""The tab Report: what the evidence says of each sentence as it is edited, and what was changed in the draft."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tools.drafting.editing import TEMPLATES, Verdict
from ui.components.citing import citation_html
from ui.components.html import element, text
from ui.render import RESEARCH_USE

if TYPE_CHECKING:
    from tools.drafting.editing import Checked

VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "not covered")
SIGNS: Mapping[Verdict, str] = {"supported": "✓", "contradicted": "✕", "not covered": "?"}
_CSS: Mapping[Verdict, str] = {
    "supported": "rr-supported",
    "contradicted": "rr-contradicted",
    "not covered": "rr-uncovered",
}
FORMATS = {"PDF": "pdf", "Word (DOCX)": "docx", "DICOM SR": "dicom-sr", "FHIR": "fhir"}


def checked_html(sentences: Sequence[Checked]) -> str:
    """Return each sentence with its verdict: in words and a sign, with the reason where it is not supported."""
    counts = Counter(s.verdict for s in sentences)
    own = sum(s.drafted is None for s in sentences)
    said = ", ".join(f"{counts[v]} {v}" for v in VERDICTS)
    head = element("p", text(f"{len(sentences)} sentences: {said}; {own} by a person."), css="rr-soft", role="status")
    parts, heading = [head], ""
    for sentence in sentences:
        if sentence.line.heading != heading:
            heading = sentence.line.heading
            parts.append(element("h4", text(heading)))
        parts.append(_sentence(sentence))
    parts.append(element("p", text(RESEARCH_USE + " Exports carry this notice."), css="rr-soft"))
    return element("div", *parts, css="rr-checked")


def _sentence(sentence: Checked) -> str:
    cited = sentence.evidence or sentence.line.cited
    places = sentence.drafted.where if sentence.drafted else ()
    own = element("em", text("by a person"), css="rr-mark") if sentence.drafted is None else ""
    reason = element("small", text(sentence.reason)) if sentence.reason else ""
    return element(
        "p",
        element("b", text(f"{SIGNS[sentence.verdict]} {sentence.verdict}"), css="rr-verdict"),
        text(sentence.line.text),
        " ",
        "".join(citation_html(i, places) for i in cited),
        own,
        reason,
        css=f"rr-sentence {_CSS[sentence.verdict]}",
        data_cites=json.dumps(list(cited)),
        tabindex="0",
    )


def changes_html(rows: Sequence[tuple[str, str]]) -> str:
    """Return what was changed in the draft: added and removed lines, told by sign and word, not by colour alone."""
    shown = [(kind, row) for kind, row in rows if kind != "same"]
    if not shown:
        return element("p", text("Nothing was changed in the draft."), css="rr-soft")
    words = {"added": "+ added", "removed": "− removed"}
    return element(
        "ul",
        *(
            element("li", element("b", text(words[k])), element("ins" if k == "added" else "del", text(row)))
            for k, row in shown
        ),
        css="rr-changes",
    )


def editor_html() -> str:
    """Return the report's editor, empty: its script fills it, and no update of the page does."""
    options = "".join(element("option", text(name), value=name) for name in TEMPLATES)
    bar = element(
        "div",
        element("label", text("Template "), element("select", options, id="rr-template")),
        element("button", text("Take the draft again"), type="button", id="rr-draft-again", css="rr-small"),
        element("button", text("Larger"), type="button", id="rr-report-large", css="rr-small", aria_pressed="false"),
        element("span", id="rr-report-saved", role="status"),
        css="rr-report-tools",
    )
    writing = element(
        "div",
        element("label", text("Report"), for_="rr-report-box"),
        element("small", text("One sentence a line; [s2] names its evidence"), id="rr-report-hint"),
        element("textarea", id="rr-report-box", aria_describedby="rr-report-hint", spellcheck="true"),
        id="rr-report-text",
    )
    checked = element(
        "div", id="rr-report-checked", tabindex="0", role="region", aria_label="The report, sentence by sentence"
    )
    return bar + element("div", id="rr-report-problem") + element("div", writing, checked, id="rr-report-body")
