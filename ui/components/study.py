"""The page's frame as HTML: header, what is to be attached, the empty conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tools.imaging.series import studies_of
from ui.choosing import study_text
from ui.components.html import element, text
from ui.components.show import Show
from ui.render import RESEARCH_USE, facts_text
from ui.viewing.scene import PREFIX

if TYPE_CHECKING:
    from tools.imaging.series import Study
    from ui.choosing import Chosen
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


def attached_html(attached: Iterable[AttachmentView], coming: Iterable[Preview] = (), reading: str = "") -> str:
    """Return what is in this reading already.

    Args:
        attached: what it has.
        coming: what went with a request that has begun, and is not taken in yet.
        reading: its id, for small pictures; empty: none.
    """
    rows = [_row(a.name, facts_text(a.facts), _thumbnail(reading, a), "rr-in") for a in attached]
    rows += [_row(p.name, "being attached", _picture(reading, p.id, p.name), "rr-in") for p in coming]
    return _list(rows)


def brought_html(
    items: Iterable[Brought], reading: str = "", previews: Iterable[Preview] = (), chosen: Iterable[Chosen] = ()
) -> str:
    """Return what the next request will attach.

    Args:
        items: what was brought.
        reading: its id, for small pictures; empty: none.
        previews: what can be looked at of what was brought.
        chosen: which series go with the next request, where there are several.
    """
    ready = list(previews)
    return _list([_brought(i, reading, [p for p in ready if p.path == i.path], set(chosen)) for i in items])


def _list(rows: list[str]) -> str:
    return element("ul", *rows, css="rr-brought") if rows else ""


def _brought(item: Brought, reading: str, previews: list[Preview], chosen: set[Chosen]) -> str:
    if item.problem:
        return element("li", element("b", text(item.name)), element("p", text(item.problem)), css="rr-bad")
    if not item.must_choose:
        picture = _picture(reading, previews[0].id, item.name) if previews and reading else ""
        facts = " · ".join(_study_words(study) for study in studies_of(item.series))
        return _row(item.name, facts or "ready to attach", picture, "")
    of_number = {preview.series: preview for preview in previews}
    taken = {number for path, number in chosen if path == str(item.path)}
    studies = studies_of(item.series)
    groups = [_study(study, reading, of_number, taken) for study in studies]
    counts = f"{len(item.series)} series" + (f" in {len(studies)} studies" if len(studies) > 1 else "")
    note = element("small", text(f"{counts}: tick those to attach"))
    none = element("p", text("None is ticked: nothing of this is attached."), css="rr-none")
    return element("li", element("b", text(item.name)), note, *groups, none, css="rr-choose")


def _study(study: Study, reading: str, previews: Mapping[str | None, Preview], taken: set[int]) -> str:
    """Return a study's head line and its series, each with a box to tick and a picture that opens it."""
    rows = []
    for series in study.series:
        preview = previews.get(str(series.number))
        if preview is None:
            continue
        ticked = {"checked": "checked"} if series.number in taken else {}
        said = f"Attach series {series.number}, {preview.name}"
        box = element("input", type="checkbox", data_series=preview.id, aria_label=said, **ticked).replace(
            "</input>", ""
        )
        picture = _picture(reading, preview.id, preview.name) if reading else ""
        count = f"{series.images} image{'' if series.images == 1 else 's'}"
        facts = " · ".join(
            part for part in (f"{series.number}", series.modality, series.body_part.lower(), count) if part
        )
        rows.append(_row(preview.name, facts, box + picture, ""))
    head = element("h3", text(_study_words(study)), css="rr-study-head")
    return element("section", head, element("ul", *rows, css="rr-series-list"))


def _study_words(study: Study) -> str:
    """Return date, description and modalities; never who the patient is."""
    kinds = ", ".join(dict.fromkeys(s.modality for s in study.series if s.modality))
    return " · ".join(part for part in (study_text(study), kinds) if part)


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
