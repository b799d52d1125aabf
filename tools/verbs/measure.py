"""The verb measure: numbers of outlined structures, with units that come from the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tools.claims import RADIOMICS, readable
from tools.contract import Cost, ImageRef, MaskRef, ToolContext, tool
from tools.errors import UnsupportedError
from tools.examples import examples_of
from tools.facts import AttachmentFacts, Requires
from tools.measuring.intensity import hu_classes, intensity, values_inside
from tools.measuring.radiomics import radiomics
from tools.measuring.ratio import ratios
from tools.measuring.size import diameter, surface_area, volume
from tools.measuring.structure import Structure, structures_of
from tools.results import Measurement, Measurements

if TYPE_CHECKING:
    from tools.models.hub import Hub

Quantity = Literal["volume", "diameter", "intensity", "hu_classes", "surface_area", "radiomics", "ratio"]
DEFAULT: tuple[Quantity, ...] = ("volume", "intensity")
HISTOGRAM = "histogram.png"
_CT = Requires(modality=("CT",), reason="density classes are ranges of Hounsfield units, which exist only in CT")

Method = Callable[[Structure, list[str]], list[Measurement]]
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "volume": volume,
        "intensity": intensity,
        "hu_classes": hu_classes,
        "diameter": diameter,
        "surface_area": surface_area,
    }
)


def _check(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    """Refuse density classes of an image that has no Hounsfield units, before anything runs."""
    mask = facts.get(str(args.get("mask", "")))
    image = facts.get(str(args.get("image") or (mask.of if mask else "")))
    if "hu_classes" in (args.get("quantities") or ()) and image is not None and (reason := _CT.refusal(image)):
        raise UnsupportedError(f"measure cannot give density classes: {reason}")


@tool(precheck=_check, cost=Cost(seconds=3), examples=examples_of("measure"))
def measure(
    ctx: ToolContext,
    mask: Annotated[MaskRef, Field(description="the mask whose structures to measure")],
    quantities: Annotated[
        list[Quantity] | None,
        Field(
            description="what to measure; none: volume and intensity. hu_classes: shares by density class in CT, for "
            "lungs the emphysema index; ratio: left to right, or heart to chest on a film"
        ),
    ] = None,
    image: Annotated[
        ImageRef | None, Field(description="the image to take intensities from; none: the one that was outlined")
    ] = None,
) -> Measurements:
    """Measure outlined structures: volume, diameter, intensity or density, density classes, surface, ratio, radiomics.

    Units come from the image's own header: without spacing there are no millimetres, and only intensity is measured.

    Raises:
        BadInputError: the mask is empty, or lies on another grid than the image.
        UnsupportedError: the image has no spacing, so that nothing asked for can be measured.
        UnavailableError: radiomics without the package that computes it.
    """
    wanted = tuple(dict.fromkeys(quantities)) if quantities else DEFAULT
    source = image or ctx.workspace.image_of(mask)
    notes: list[str] = []
    structures = structures_of(ctx.workspace, mask, source, notes)
    rows, refused = _measured(ctx, structures, [q for q in wanted if q != "ratio"], notes)
    if not rows and refused and "ratio" not in wanted:
        raise UnsupportedError("; ".join(dict.fromkeys(refused.values())))
    if "ratio" in wanted:
        rows += ratios(structures, notes)
    notes += [f"{quantity} was not measured: {reason}" for quantity, reason in refused.items()]
    if structures[0].volume.spacing_source == "ImagerPixelSpacing" and any(row.spacing_source for row in rows):
        notes.append("lengths and areas are those in the detector's plane, which magnifies the patient")
    if any(row.uncertainty is not None for row in rows):
        notes.append(
            "± says how far a value moves when the mask's boundary moves by half a voxel, not how well it lies."
        )
    figures = (HISTOGRAM,) if _drawn(ctx, structures, rows, mask) else ()
    return Measurements(
        summary=_summary(rows),
        rows=tuple(rows),
        files=figures,
        figures=figures,
        notes=tuple(dict.fromkeys(notes)),
    )


def _measured(
    ctx: ToolContext, structures: Sequence[Structure], wanted: Sequence[str], notes: list[str]
) -> tuple[list[Measurement], dict[str, str]]:
    """Return the rows, and per quantity that a structure cannot have the reason."""
    rows: list[Measurement] = []
    refused: dict[str, str] = {}
    for number, structure in enumerate(structures):
        ctx.progress(0.1 + 0.7 * number / len(structures), f"measuring {structure.target}")
        for quantity in (q for q in wanted if q != "radiomics"):
            try:
                rows += METHODS[quantity](structure, notes)
            except UnsupportedError as error:
                refused[quantity] = str(error)
    if "radiomics" in wanted:
        try:
            features, lacking = radiomics(ctx, structures, notes)
        except UnsupportedError as error:
            features, lacking = [], [str(error)]
        rows += features
        refused |= {"radiomics": "; ".join(lacking)} if lacking else {}
    return rows, refused


def _drawn(ctx: ToolContext, structures: Sequence[Structure], rows: Sequence[Measurement], mask: str) -> bool:
    """Draw a histogram where intensities were measured."""
    from tools.imaging.plots import histogram_png

    if not any(row.quantity == "mean_intensity" or row.quantity.endswith("_fraction") for row in rows):
        return False
    ctx.progress(0.9, "drawing the histogram")
    values = {readable(s.target): values_inside(s) for s in structures}
    title = f"{structures[0].image}, inside {mask}"
    histogram_png(values, ctx.folder / HISTOGRAM, unit=structures[0].volume.units, title=title)
    return True


_HEADLINES = {
    "volume": "", "area": "area ", "mean_intensity": "mean ", "longest_diameter": "longest diameter ",
    "surface_area": "surface ", "emphysema_index": "emphysema index ",
}  # fmt: skip


def _summary(rows: Sequence[Measurement]) -> str:
    """Return the main values per structure in one sentence."""
    said: dict[str, list[str]] = {}
    features: dict[str, int] = {}
    for row in rows:
        if row.quantity.startswith(RADIOMICS):
            features[row.target] = features.get(row.target, 0) + 1
        elif row.quantity in _HEADLINES:
            value = f"{row.value:,.0f}" if abs(row.value) >= 100 else f"{row.value:.3g}"
            said.setdefault(row.target, []).append(f"{_HEADLINES[row.quantity]}{value} {row.unit}".strip())
        elif row.quantity.endswith("_ratio"):
            said.setdefault(row.target, []).append(f"{row.method} = {row.value:.3f}")
        else:
            said.setdefault(row.target, [])
    for target, count in features.items():
        said.setdefault(target, []).append(f"{count} IBSI radiomics features")
    parts = [f"{readable(target)} {', '.join(values)}".strip() for target, values in said.items()]
    more = f"; and {len(parts) - 5} more" if len(parts) > 5 else ""
    return f"Measured: {'; '.join(parts[:5])}{more}."
