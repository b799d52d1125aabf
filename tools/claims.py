"""Sentences that an artifact supports by itself, each with its evidence id. No language model is involved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tools.results import Claim, Description, Draft, Hits, Masks, Measurement, Measurements

if TYPE_CHECKING:
    from tools.workspace import Artifact

QUANTITY_WORDS = {
    "volume": "Volume",
    "area": "Area",
    "surface_area": "Surface area",
    "mean_intensity": "Mean",
    "sd_intensity": "Standard deviation",
    "median_intensity": "Median",
    "min_intensity": "Minimum",
    "max_intensity": "Maximum",
    "p5_intensity": "5th percentile",
    "p95_intensity": "95th percentile",
    "longest_diameter": "Longest axial diameter",
    "perpendicular_diameter": "Longest perpendicular diameter",
}
HEADLINE = ("volume", "area", "mean_intensity", "longest_diameter", "perpendicular_diameter", "surface_area")
"""Quantities that get a sentence of their own; the table has them all."""


def claims_of(artifact: Artifact) -> tuple[Claim, ...]:
    """Return the sentences that an artifact supports, most important first."""
    match artifact.kind:
        case "measurements":
            rows = Measurements.model_validate(artifact.data).rows
            return tuple(_measured(r, artifact.id) for r in rows if r.quantity in HEADLINE or _is_foreign(r))
        case "mask":
            return tuple(_masked(Masks.model_validate(artifact.data), artifact.id))
        case "hits":
            return quotes(Hits.model_validate(artifact.data), artifact)
        case "report":
            draft = Draft.model_validate(artifact.data)
            return (Claim(text=draft.summary, evidence=(artifact.id,), kind="described"),)
        case "description":
            image = Description.model_validate(artifact.data).image
            return (Claim(text=artifact.summary, evidence=(artifact.id, image), kind="described"),)
    kind = "model opinion" if "opinion" in artifact.marks else "described"
    return (Claim(text=artifact.summary, evidence=(artifact.id,), kind=kind),)  # type: ignore[arg-type]


def quotes(hits: Hits, artifact: Artifact) -> tuple[Claim, ...]:
    """Return one sentence per hit, quoting the report of another patient word for word."""
    if not hits.hits:
        return (Claim(text=artifact.summary, evidence=(artifact.id,), kind="described"),)
    return tuple(
        Claim(text=f"A stored report of another patient says: “{h.sentence}”", evidence=(h.report_id,), kind="quoted")
        for h in hits.hits
    )


def _is_foreign(row: Measurement) -> bool:
    """Return whether a quantity is another package's own: it is what its tool was called for."""
    return row.quantity not in QUANTITY_WORDS


def _measured(row: Measurement, artifact_id: str) -> Claim:
    words = QUANTITY_WORDS.get(row.quantity) or row.quantity.replace("_", " ").capitalize()
    if row.quantity == "mean_intensity":
        words = "Mean density" if row.unit == "HU" else "Mean intensity"
    if row.quantity.endswith("_ratio"):
        text = f"{words.capitalize()}, {row.method.replace('_', ' ')}: {shown(row.value, row.unit)}."
    else:
        text = f"{words} of the {readable(row.target)}: {shown(row.value, row.unit)}."
    return Claim(text=text, evidence=(artifact_id,), kind="measured")


def _masked(result: Masks, artifact_id: str) -> Iterable[Claim]:
    found = [readable(m.target) for m in result.masks if m.voxels]
    missing = [readable(m.target) for m in result.masks if not m.voxels]
    by = f" by {result.model.card}" if result.model else ""
    if found:
        yield Claim(
            text=f"Outlined in {result.image}{by}: {', '.join(found)}.", evidence=(artifact_id,), kind="described"
        )
    if missing:
        yield Claim(text=f"Looked for and not found: {', '.join(missing)}.", evidence=(artifact_id,), kind="described")


def readable(target: str) -> str:
    """Return a class name in words: `kidney_left` → "left kidney"."""
    words = target.split("_")
    sides = [w for w in words if w in ("left", "right")]
    return " ".join(sides + [w for w in words if w not in sides])


def shown(value: float, unit: str) -> str:
    """Return a value with as many digits as a reader needs, and its unit."""
    digits = 0 if abs(value) >= 1000 or (unit == "ml" and abs(value) >= 100) else 1
    if 0 < abs(value) < 1:
        digits = 3
    number = f"{value:,.{digits}f}".replace("-", "−")
    return f"{number} {unit}".strip()
