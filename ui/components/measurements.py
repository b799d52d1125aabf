"""The tab Measurements: every number with its unit, where the millimetres came from, and what made it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tools.results import Measurements
from ui.components.citing import marks_html, show_of
from ui.components.html import element, text
from ui.components.show import Show, show_button
from ui.render import quantity_text, target_text, value_text

if TYPE_CHECKING:
    from tools.results import Measurement
    from tools.workspace import Artifact

HEADS = ("Structure", "Quantity", "Value", "Millimetres from", "Mask", "Image", "Made by", "Step")


def measurements_tab_html(artifacts: Iterable[Artifact]) -> str:
    """Return the table of every measurement, or nothing where nothing was measured."""
    rows = [(a, row) for a in artifacts if a.kind == "measurements" for row in _rows(a)]
    if not rows:
        return ""
    head = "".join(element("th", text(h), scope="col") for h in HEADS)
    body = "".join(_row(artifact, row) for artifact, row in rows)
    table = element("table", element("thead", element("tr", head)), element("tbody", body))
    copy = element("button", text("Copy as CSV"), css="rr-small", type="button", data_copy=as_csv(rows))
    return element("div", element("div", copy, css="rr-bar-right"), table, css="rr-measures")


def as_csv(rows: Sequence[tuple[Artifact, Measurement]]) -> str:
    """Return measurements as CSV with a heading line; cells that begin like a formula are made text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ("structure", "quantity", "value", "uncertainty", "unit", "spacing_source", "mask", "image", "made_by", "step",
         "marks", "notice")
    )  # fmt: skip
    for artifact, row in rows:
        cells = (
            row.target, row.quantity, row.value, "" if row.uncertainty is None else row.uncertainty, row.unit,
            row.spacing_source, row.mask, row.image, _made_by(artifact), artifact.id, " ".join(artifact.marks),
            "research use only",
        )  # fmt: skip
        writer.writerow([f"'{c}" if isinstance(c, str) and c[:1] in tuple("=+-@") and c else c for c in cells])
    return out.getvalue()


def _rows(artifact: Artifact) -> tuple[Measurement, ...]:
    return Measurements.model_validate(artifact.data).rows


def _row(artifact: Artifact, row: Measurement) -> str:
    place = show_of(row.where) if row.where else None
    value = show_button(value_text(row), place, css="rr-number") if place else element("b", text(value_text(row)))
    mask = "–"
    if row.mask:
        mask = show_button(row.mask, place or Show(volume=row.image, mask=f"{row.mask}/{row.target}"))
    how = " ".join(part for part in (row.method.replace("_", " "), row.uncertainty_method) if part)
    return element(
        "tr",
        element("td", text(target_text(row.target)), marks_html(artifact.marks)),
        element("td", text(quantity_text(row)), title=how),
        element("td", value, css="rr-value"),
        element("td", text(row.spacing_source or "none needed"), css="rr-source"),
        element("td", mask),
        element("td", show_button(row.image, Show(volume=row.image))),
        element("td", text(_made_by(artifact)), css="rr-source"),
        element("td", element("span", text(artifact.id), css="rr-id")),
        data_source=artifact.id,
        tabindex="0",
    )


def _made_by(artifact: Artifact) -> str:
    model = artifact.provenance.model
    return artifact.provenance.tool + (f", {model.card} {model.version}" if model else "")
