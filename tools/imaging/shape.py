"""Lengths and surfaces of masks, in the world's millimetres."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import Affine, BoolArray

FloatArray = NDArray[np.float64]


class Diameters(NamedTuple):
    """The longest diameter of a mask in one slice, and the extent across it, in mm."""

    longest_mm: float
    perpendicular_mm: float
    slice_index: int
    """Index along the axis across the slices."""
    across: int = 2
    """Which voxel axis that is."""


def largest_component(mask: BoolArray) -> tuple[BoolArray, int]:
    """Return the largest component (voxels that touch at a face, edge or corner) and how many there are."""
    import cc3d

    labels, count = cc3d.connected_components(mask, connectivity=26, binary_image=True, return_N=True)
    if count <= 1:
        return mask, int(count)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax())), int(count)


def slice_diameters(mask: BoolArray, affine_ras: Affine) -> Diameters:
    """Return the longest in-plane diameter over all axial slices, and the extent perpendicular to it.

    Slices run across the voxel axis that lies nearest to the patient's long axis; lengths are taken from outer edge to
    outer edge of the voxels. The perpendicular extent is that of the slice's convex hull.

    Args:
        mask: bool (i, j, k), at least one voxel.
        affine_ras: float64 (4, 4), voxel index (0-based) to RAS+ mm.

    Source: RECIST 1.1, Eisenhauer et al., Eur J Cancer 45 (2009) 228, section 3.1.1.
    """
    across = 2 if mask.shape[2] == 1 else _axis_along(affine_ras, world=2)
    first, second = (axis for axis in range(3) if axis != across)
    steps = affine_ras[:3, [first, second]]
    best = Diameters(0.0, 0.0, 0, across)
    for index in np.flatnonzero(mask.any(axis=(first, second))):
        hull = _hull(np.take(mask, index, across), steps)
        longest, perpendicular = _diameters(hull)
        if longest > best.longest_mm:
            best = Diameters(longest, perpendicular, int(index), across)
    return best


def surface_area_mm2(mask: BoolArray, affine_ras: Affine) -> float:
    """Return the area of the surface of a mask, in mm².

    A triangle mesh (marching cubes) is laid through the mask after smoothing by one voxel, at the level that keeps the
    mask's volume. Without smoothing the stair-steps of the voxels make a sphere 9 % too large (13 % on unequal voxels);
    with it spheres of 6 voxels radius and more come out within 1.5 %, smaller ones within 5 %.

    Args:
        mask: bool (i, j, k), at least one voxel.
        affine_ras: float64 (4, 4), voxel index (0-based) to RAS+ mm.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes, mesh_surface_area

    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    field = gaussian_filter(np.pad(mask[box].astype(np.float32), 4), sigma=1.0, truncate=3.0)
    inside = int(np.count_nonzero(mask))
    ordered = np.partition(field, (field.size - inside - 1, field.size - inside), axis=None)
    level = float(ordered[field.size - inside - 1] + ordered[field.size - inside]) / 2
    vertices, faces, _, _ = marching_cubes(field, level=level)
    return float(mesh_surface_area(vertices @ affine_ras[:3, :3].T, faces))


def _axis_along(affine_ras: Affine, world: int) -> int:
    cosines = np.abs(affine_ras[world, :3]) / np.linalg.norm(affine_ras[:3, :3], axis=0)
    return int(cosines.argmax())


def _hull(pixels: BoolArray, steps: FloatArray) -> FloatArray:
    """Return the corners of the convex hull of a slice in mm, (n, 2), in an orthonormal frame of its plane."""
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(pixels.any(axis=1))
    lowest = pixels[rows].argmax(axis=1)
    highest = pixels.shape[1] - 1 - pixels[rows][:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, lowest], 1), np.stack([rows, highest], 1)]).astype(np.float64)
    edges = np.concatenate([ends + half for half in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))])
    frame, _ = np.linalg.qr(steps)
    points: FloatArray = edges @ (frame.T @ steps).T
    return np.asarray(points[ConvexHull(points).vertices])


def _diameters(hull: FloatArray) -> tuple[float, float]:
    apart = hull[:, None, :] - hull[None, :, :]
    lengths = np.linalg.norm(apart, axis=2)
    at = np.unravel_index(int(lengths.argmax()), lengths.shape)
    longest = float(lengths[at])
    along = apart[at] / longest
    across = hull @ np.array([-along[1], along[0]])
    return longest, float(np.ptp(across))
