"""Volumes, areas, surfaces and diameters of outlined structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UnsupportedError
from tools.measuring.boundary import METHOD
from tools.measuring.structure import Structure, Uncertainty

if TYPE_CHECKING:
    from tools.imaging.shape import Ends
    from tools.imaging.volume import Affine, Volume
    from tools.places import Region
    from tools.results import Measurement


def volume(structure: Structure, notes: list[str]) -> list[Measurement]:
    """Measure the volume, or the area in a single image."""
    shift = structure.boundary.half_voxel
    if structure.volume.dims == 2:
        notes.append("a single image has no depth: area was measured instead of volume")
        pixel_cm2 = structure.volume.pixel_area_mm2 / 100
        uncertainty = Uncertainty(shift * pixel_cm2, METHOD)
        return [structure.row("area", structure.voxels * pixel_cm2, "cm2", "pixel count × pixel area", uncertainty)]
    voxel_ml = structure.volume.voxel_volume_mm3 / 1000
    uncertainty = Uncertainty(shift * voxel_ml, METHOD)
    return [structure.row("volume", structure.voxels * voxel_ml, "ml", "voxel count × voxel volume", uncertainty)]


def diameter(structure: Structure, notes: list[str]) -> list[Measurement]:
    """Measure the longest diameter in an axial slice and the extent across it."""
    from tools.imaging.shape import largest_component, slice_diameters
    from tools.imaging.whereabouts import on_slice

    _require_spacing(structure.volume)
    largest, count = largest_component(structure.inside)
    affine = structure.volume.affine_ras
    found = slice_diameters(largest, affine)
    if count > 1:
        notes.append(f"{structure.target}: {count} separate pieces; the diameter is that of the largest")
    where = f"convex hull, slice index {found.slice_index}, edge to edge"
    # Half a voxel at either end; the coarser of the slice's two edges, for the diameter may run along it.
    in_plane = sorted(float(s) for s in np.linalg.norm(affine[:3, [a for a in range(3) if a != found.across]], axis=0))
    uncertainty = Uncertainty(in_plane[-1], "either end moved by half a voxel")
    seen = on_slice(largest, structure.volume, (found.across, found.slice_index), structure.named)
    longest = structure.row(
        "longest_diameter", found.longest_mm, "mm", f"longest in an axial slice (RECIST 1.1); {where}", uncertainty
    )
    across = structure.row(
        "perpendicular_diameter", found.perpendicular_mm, "mm", f"extent across the longest; {where}", uncertainty
    )
    return [_on_its_line(longest, seen, found.longest, affine), _on_its_line(across, seen, found.perpendicular, affine)]


def _on_its_line(row: Measurement, seen: Region, ends: Ends, affine_ras: Affine) -> Measurement:
    """Return a length with the ends between which it was measured."""
    world = np.round(np.array(ends) @ affine_ras[:3, :3].T + affine_ras[:3, 3], 3).tolist()
    (a, b, c), (d, e, f) = world
    where = seen.model_copy(update={"ends": ends, "ends_mm": ((a, b, c), (d, e, f))})
    return row.model_copy(update={"where": where})


def surface_area(structure: Structure, notes: list[str]) -> list[Measurement]:
    """Measure the surface."""
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
