"""The settings as HTML: what would leave, memory as measured, models and what they need, reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.render import bytes_text

if TYPE_CHECKING:
    from knowledge.search import Stats
    from tools.models.card import ModelCard
    from tools.models.standing import CardStatus

POLICY_WORDS = {
    "local": "Everything: the model runs on this machine.",
    "remote-deidentified": "Text with pseudonyms for names, numbers and dates; no pictures.",
    "remote-allowed": "Everything, pictures and patient data included; each call is written down.",
}


def pairs_html(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values."""
    return element("dl", *(element("dt", text(n)) + element("dd", text(v)) for n, v in rows), css="rr-settings")


def table_html(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str) -> str:
    """Return a table of text."""
    top = element("tr", *(element("th", text(h), scope="col") for h in head))
    body = "".join(element("tr", *(element("td", text(c)) for c in row)) for row in rows)
    table = element("table", element("caption", text(caption)), element("thead", top), element("tbody", body))
    return element("div", table, css="rr-table", tabindex="0", role="region", aria_label=caption)


def preview_html(address: str, policy: str, sent: str) -> str:
    """Return what would leave to the language model."""
    return pairs_html((("Asked at", address), ("What leaves", POLICY_WORDS[policy]))) + element(
        "p", text("For example: "), element("q", text(sent)), css="rr-hint"
    )


def told_html(words: str, *, is_good: bool) -> str:
    """Return how something went."""
    return element("p", text(words), css="rr-told" if is_good else "rr-told rr-error", role="status")


def progress_html(title: str, done: int, total: int | None, *, in_bytes: bool) -> str:
    """Return a bar with the amount in words."""
    shown = bytes_text if in_bytes else "{:,}".format
    words = f"{title}: {shown(done)}" + (f" of {shown(total)}" if total else "")
    bar = element("progress", max=str(total), value=str(done), aria_label=title) if total else ""
    return element("p", text(words), css="rr-told", role="status") + bar


def memory_html(device: str, used_bytes: int, budget_bytes: int, loaded: Mapping[str, int], source: str) -> str:
    """Return device memory as it was measured."""
    rows = [
        ("Device", device),
        ("Taken by models", bytes_text(used_bytes)),
        ("Models may take", bytes_text(budget_bytes)),
    ]
    rows += [(name, bytes_text(size)) for name, size in sorted(loaded.items())]
    return pairs_html([*rows, ("Measured by", source)])


def models_html(rows: Iterable[tuple[ModelCard, CardStatus]]) -> str:
    """Return every model with its state and what it needs."""
    cells = [
        (card.name, card.verb, ", ".join(card.modality), status.state, status.remedy or "–", card.licence)
        for card, status in rows
    ]
    return table_html(("model", "for", "modality", "state", "what to do", "licence"), cells, "Models")


def reports_html(stats: Stats | None) -> str:
    """Return how many reports there are."""
    if stats is None or not stats.reports:
        return element("p", text("No past reports are stored yet: nothing similar can be found."), css="rr-hint")
    rows = [("Reports", f"{stats.reports:,}"), ("Sentences", f"{stats.sentences:,}")]
    return pairs_html([*rows, *((name, f"{count:,}") for name, count in stats.sources.items())])
