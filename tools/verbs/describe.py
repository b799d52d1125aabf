"""describe: what an image is, from its header and its voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Description

if TYPE_CHECKING:
    from tools.facts import AttachmentFacts
    from tools.imaging.volume import Volume

NAMES = {
    "CT": "computed tomography",
    "MR": "magnetic resonance",
    "CR": "computed radiography",
    "DX": "digital radiography",
    "US": "ultrasound",
    "PT": "positron emission tomography",
    "MG": "mammography",
    "NM": "nuclear medicine",
    "XA": "X-ray angiography",
}


@tool(
    cost=Cost(seconds=1),
    timeout_s=120,
    examples=examples_of("describe"),
)
def describe(ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image to describe")]) -> Description:
    """Say what an image is: modality, body part, geometry, intensity, acquisition, what can be done with it."""
    from tools.imaging.geometry import describe_geometry
    from tools.imaging.render import overlay_png

    volume = ctx.workspace.volume(image)
    intensity = _intensity(volume)
    known = ctx.workspace.facts().get(image)
    facts = {
        "modality": volume.modality or "unknown",
        "modality_source": known.modality_source if known else "",
        "body_part": volume.body_part or "unknown",
        "dims": volume.dims,
        "geometry": describe_geometry(volume),
        "spacing_source": volume.spacing_source or "none",
        "intensity": intensity,
        "acquisition": dict(volume.header),
        "possible": _possible(ctx, known),
    }
    overlay_png(volume, {}, ctx.folder / "key-image.png", title=image)
    return Description(
        summary=_summary(image, volume, intensity),
        image=image,
        facts=facts,
        files=("key-image.png",),
        figures=("key-image.png",),
        notes=_notes(volume, known),
    )


def _intensity(volume: Volume) -> dict[str, Any]:
    values = volume.array
    return {
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "mean": round(float(values.mean(dtype="float64")), 2),
        "unit": volume.units or "arbitrary",
        "dtype": str(values.dtype),
    }


def _summary(image: str, volume: Volume, intensity: dict[str, Any]) -> str:
    what = NAMES.get(volume.modality, volume.modality) or "image of unknown modality"
    part = f" of the {volume.body_part.lower()}" if volume.body_part else ""
    used = volume.dims
    size = " × ".join(str(n) for n in volume.shape[:used])
    if volume.spacing_source:
        spacing = " × ".join(f"{mm:.2f}" for mm in volume.spacing_mm[:used])
        space = f"{spacing} mm ({volume.spacing_source})"
    else:
        space = "no physical spacing"
    unit = volume.units or "arbitrary units"
    low, high = intensity["minimum"], intensity["maximum"]
    spread = f"{low:g} to {high:g} {unit}".replace("-", "−")
    return f"{image} is a {used}-D {what}{part}, {size} voxels, {space}, values from {spread}."


def _possible(ctx: ToolContext, facts: AttachmentFacts | None) -> list[str]:
    """Name the cards whose requirements this image meets."""
    if facts is None:
        return []
    return [card.name for card in ctx.hub.cards if card.refusal(facts) is None]


def _notes(volume: Volume, facts: AttachmentFacts | None) -> tuple[str, ...]:
    notes = []
    if facts and facts.modality_source == "voxel values":
        notes.append("The file does not name its modality; its values are those of a CT in Hounsfield units.")
    if volume.spacing_source is None:
        notes.append("No physical spacing: nothing can be measured in millimetres.")
    if volume.spacing_source == "ImagerPixelSpacing":
        notes.append("The spacing lies in the detector plane: lengths in the patient are shorter.")
    return tuple(notes)
