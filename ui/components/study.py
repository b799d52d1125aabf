"""The page's frame as HTML: header, what is to be attached, the empty conversation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.components.show import Show
from ui.render import RESEARCH_USE, facts_text
from ui.viewing.scene import PREFIX

if TYPE_CHECKING:
    from ui.uploads import Brought
    from ui.view import AttachmentView
    from ui.viewing.pictures import Preview

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


def brought_html(
    items: Iterable[Brought],
    attached: Iterable[AttachmentView] = (),
    reading: str = "",
    previews: Iterable[Preview] = (),
) -> str:
    """Return what is in this reading already and what the next request will attach.

    Args:
        items: what was brought.
        attached: what the reading has.
        reading: its id, for small pictures; empty: none.
        previews: what can be looked at of what was brought.
    """
    rows = [_row(a.name, facts_text(a.facts), _thumbnail(reading, a), "rr-in") for a in attached]
    ready = list(previews)
    rows += [_brought(i, reading, [p for p in ready if p.path == i.path]) for i in items]
    return element("ul", *rows, css="rr-brought") if rows else ""


def _brought(item: Brought, reading: str, previews: list[Preview]) -> str:
    if item.problem:
        return element("li", element("b", text(item.name)), element("p", text(item.problem)), css="rr-bad")
    if not item.choices:
        picture = _picture(reading, previews[0].id, item.name) if previews and reading else ""
        return _row(item.name, "ready to attach", picture, "")
    series = "".join(_row(p.name, "", _picture(reading, p.id, p.name) if reading else "", "") for p in previews)
    note = element("small", text(f"{len(item.choices)} series: choose one below"))
    return element("li", element("b", text(item.name)), note, element("ul", series, css="rr-series-list"))


def _row(name: str, note: str, picture: str, css: str) -> str:
    said = element("span", element("b", text(name)), element("small", text(note)) if note else "", css="rr-said")
    return element("li", picture, said, css=f"rr-case {css}".strip())


def _thumbnail(reading: str, attached: AttachmentView) -> str:
    is_image = attached.facts.kind == "image" and bool(reading)
    return _picture(reading, attached.facts.id, attached.name) if is_image else ""


def _picture(reading: str, image_id: str, name: str) -> str:
    """Return a small picture that opens its image; a browser leaves it out where it cannot be made."""
    source = f"{PREFIX}/{reading}/{image_id}/thumbnail.png"
    small = element("img", src=source, alt="", loading="lazy", width="44", height="44").replace("</img>", "")
    said = f"Open {name} in the viewer"
    return element(
        "button", small, css="rr-thumb", type="button", data_show=Show(image_id).attribute, title=said, aria_label=said
    )


def earlier_html(readings: Iterable[tuple[str, str]], open_reading: str = "") -> str:
    """Return links to earlier readings: id and first request of each.

    Args:
        readings: of the person who looks, newest first.
        open_reading: the one that is open.
    """
    rows = [
        element(
            "li",
            element("a", text(request), href=f"?reading={reading}", title=request)
            if reading != open_reading
            else element("b", text(request)),
            element("small", text(day_of(reading))),
        )
        for reading, request in readings
    ]
    return element("ul", *rows, css="rr-earlier") if rows else ""


def day_of(reading: str) -> str:
    """Return when a reading was begun, from its id: "25 Nov 2026, 01:10 UTC"; empty where the id does not say."""
    try:
        begun = datetime.strptime(reading[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return f"{begun:%d %b %Y, %H:%M} UTC"
