"""The verb measure: numbers of outlined structures, with units that come from the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import Cost, ImageRef, MaskRef, ToolContext, tool
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.examples import examples_of
from tools.results import Measurement, Measurements

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume

Quantity = Literal["volume", "diameter", "intensity", "surface_area", "radiomics", "ratio"]
DEFAULT: tuple[Quantity, ...] = ("volume", "intensity")


@dataclass(frozen=True)
class _Structure:
    """One outlined structure in its image."""

    target: str
    inside: BoolArray
    volume: Volume
    image: str
    mask: str

    def row(self, quantity: str, value: float, unit: str, method: str) -> Measurement:
        """Return a measured value with where it comes from."""
        source = (self.volume.spacing_source or "") if unit in {"ml", "mm", "cm2"} else ""
        return Measurement(
            target=self.target,
            quantity=quantity,
            value=value,
            unit=unit,
            image=self.image,
            mask=self.mask,
            spacing_source=source,
            method=method,
        )


@tool(cost=Cost(seconds=3), examples=examples_of("measure"))
def measure(
    ctx: ToolContext,
    mask: Annotated[MaskRef, Field(description="the mask whose structures to measure")],
    quantities: Annotated[
        list[Quantity] | None, Field(description="what to measure; none: volume and intensity")
    ] = None,
    image: Annotated[
        ImageRef | None, Field(description="the image to take intensities from; none: the one that was outlined")
    ] = None,
) -> Measurements:
    """Measure outlined structures: volume, diameter, intensity (density), surface area, ratio of two volumes.

    Units come from the image's own header: without spacing there are no millimetres, and only intensity is measured.

    Raises:
        BadInputError: the mask is empty, or lies on another grid than the image.
        UnsupportedError: the image has no spacing, so that nothing asked for can be measured.
        UnavailableError: a quantity is not part of this version.
    """
    wanted = tuple(dict.fromkeys(quantities)) if quantities else DEFAULT
    if "radiomics" in wanted:
        raise UnavailableError(
            "quantities: radiomics features are not part of this version; ask for volume, diameter, intensity, "
            "surface_area or ratio"
        )
    source = image or ctx.workspace.image_of(mask)
    volume = ctx.workspace.volume(source)
    rows: list[Measurement] = []
    notes: list[str] = []
    refused: dict[str, str] = {}
    for structure in _structures(ctx, mask, source, volume, notes):
        ctx.progress(0.1 + 0.8 * len(rows) / (len(rows) + 10), f"measuring {structure.target}")
        for quantity in wanted:
            if quantity == "ratio":
                continue
            try:
                rows += MEASURES[quantity](structure, notes)
            except UnsupportedError as error:
                refused[quantity] = str(error)
    if not rows and refused and "ratio" not in wanted:
        raise UnsupportedError("; ".join(dict.fromkeys(refused.values())))
    if "ratio" in wanted:
        rows += _ratio(ctx, mask, source, volume)
    notes += [f"{quantity} was not measured: {reason}" for quantity, reason in refused.items()]
    if volume.spacing_source == "ImagerPixelSpacing" and any(row.spacing_source for row in rows):
        notes.append("lengths and areas are those in the detector's plane, which magnifies the patient")
    return Measurements(summary=_summary(rows), rows=tuple(rows), notes=tuple(dict.fromkeys(notes)))


def _structures(ctx: ToolContext, mask: str, source: str, volume: Volume, notes: list[str]) -> list[_Structure]:
    """Return the outlined structures that hold a voxel; the others are named in the notes."""
    found = []
    for target, inside, grid in ctx.workspace.masks(mask):
        if not grid.same_grid(volume):
            raise BadInputError(
                f"mask: {target!r} of {mask} lies on another grid ({_grid(grid)}) than {source} ({_grid(volume)}): "
                "name the image that was outlined, or outline this one"
            )
        if inside.any():
            found.append(_Structure(target, inside, volume, source, mask))
        else:
            notes.append(f"{target}: the mask is empty, so nothing was measured")
    if not found:
        raise BadInputError(f"mask: {mask} is empty, expected at least one voxel inside; nothing can be measured")
    return found


def _grid(volume: Volume) -> str:
    shape = " × ".join(str(n) for n in volume.shape)
    corner = ", ".join(f"{x:.1f}" for x in volume.affine_ras[:3, 3])
    return f"{shape} voxels, first voxel at {corner}"


def _volume(structure: _Structure, notes: list[str]) -> list[Measurement]:
    voxels = int(np.count_nonzero(structure.inside))
    if structure.volume.dims == 2:
        area_cm2 = voxels * structure.volume.pixel_area_mm2 / 100
        notes.append("a single image has no depth: area was measured instead of volume")
        return [structure.row("area", area_cm2, "cm2", "pixel count × pixel area")]
    volume_ml = voxels * structure.volume.voxel_volume_mm3 / 1000
    return [structure.row("volume", volume_ml, "ml", "voxel count × voxel volume")]


def _intensity(structure: _Structure, notes: list[str]) -> list[Measurement]:
    volume = structure.volume
    if volume.is_colour:
        raise UnsupportedError("a colour image has no single intensity per pixel")
    values = volume.array[structure.inside]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInputError(f"image: {structure.image} holds voxels inside {structure.target} that are not numbers")
    low, median, high = (float(v) for v in np.percentile(values, (5, 50, 95)))
    unit = volume.units
    method = "over all voxels inside"
    return [
        structure.row("mean_intensity", float(values.mean(dtype=np.float64)), unit, method),
        structure.row("sd_intensity", float(values.std(dtype=np.float64)), unit, f"population, {method}"),
        structure.row("median_intensity", median, unit, method),
        structure.row("min_intensity", float(values.min()), unit, method),
        structure.row("max_intensity", float(values.max()), unit, method),
        structure.row("p5_intensity", low, unit, method),
        structure.row("p95_intensity", high, unit, method),
    ]


def _diameter(structure: _Structure, notes: list[str]) -> list[Measurement]:
    from tools.imaging.shape import largest_component, slice_diameters

    _require_spacing(structure.volume)
    largest, count = largest_component(structure.inside)
    found = slice_diameters(largest, structure.volume.affine_ras)
    if count > 1:
        notes.append(f"{structure.target}: {count} separate pieces; the diameter is that of the largest")
    where = f"convex hull, slice index {found.slice_index}, edge to edge"
    return [
        structure.row("longest_diameter", found.longest_mm, "mm", f"longest in an axial slice (RECIST 1.1); {where}"),
        structure.row("perpendicular_diameter", found.perpendicular_mm, "mm", f"extent across the longest; {where}"),
    ]


def _surface_area(structure: _Structure, notes: list[str]) -> list[Measurement]:
    from tools.imaging.shape import surface_area_mm2

    if structure.volume.dims == 2:
        raise UnsupportedError("a surface needs a 3-D image, got a 2-D image: measure its area")
    _require_spacing(structure.volume)
    area_cm2 = surface_area_mm2(structure.inside, structure.volume.affine_ras) / 100
    method = "triangle mesh, smoothed by one voxel at equal volume (error on spheres below 2 %)"
    return [structure.row("surface_area", area_cm2, "cm2", method)]


def _require_spacing(volume: Volume) -> None:
    """Raise the volume's own refusal where it has no millimetres."""
    _ = volume.spacing_mm


MEASURES: Mapping[str, Callable[[_Structure, list[str]], list[Measurement]]] = MappingProxyType(
    {"volume": _volume, "intensity": _intensity, "diameter": _diameter, "surface_area": _surface_area}
)


def _ratio(ctx: ToolContext, mask: str, source: str, volume: Volume) -> list[Measurement]:
    """Divide the first target's size by the second's; needs no millimetres, for they cancel."""
    sizes = [(target, int(np.count_nonzero(inside))) for target, inside, _ in ctx.workspace.masks(mask)]
    if len(sizes) != 2 or not all(size for _, size in sizes):
        named = ", ".join(f"{target} ({size} voxels)" for target, size in sizes)
        raise BadInputError(f"quantities: a ratio needs a mask with exactly two structures, got {named}")
    (first, a), (second, b) = sizes
    kind = "area" if volume.dims == 2 else "volume"
    return [
        Measurement(
            target=first,
            quantity=f"{kind}_ratio",
            value=a / b,
            unit="",
            image=source,
            mask=mask,
            spacing_source="",
            method=f"{kind} of {first} ÷ {kind} of {second}",
        )
    ]


_HEADLINES = {"volume": "", "area": "area ", "mean_intensity": "mean ", "longest_diameter": "longest diameter ",
              "surface_area": "surface "}  # fmt: skip


def _summary(rows: Sequence[Measurement]) -> str:
    """Return the main values per structure in one sentence."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if row.quantity in _HEADLINES:
            value = f"{row.value:,.0f}" if abs(row.value) >= 100 else f"{row.value:.3g}"
            said.setdefault(row.target, []).append(f"{_HEADLINES[row.quantity]}{value} {row.unit}".strip())
        elif row.quantity.endswith("_ratio"):
            said.setdefault(row.target, []).append(f"{row.method} = {row.value:.3f}")
    parts = [f"{readable(target)} {', '.join(values)}" for target, values in said.items()]
    more = f"; and {len(parts) - 5} more" if len(parts) > 5 else ""
    return f"Measured: {'; '.join(parts[:5])}{more}."
