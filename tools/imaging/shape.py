"""Lengths and surfaces of masks, in the world's millimetres."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import Affine, BoolArray
from tools.places import Position

FloatArray = NDArray[np.float64]


Ends = tuple[Position, Position]


class Diameters(NamedTuple):
    """The longest diameter of a mask in one slice, and the extent across it, in mm."""

    longest_mm: float
    perpendicular_mm: float
    slice_index: int
    """Index along the axis across the slices."""
    across: int
    """Which voxel axis that is."""
    longest: Ends
    """Both ends, index (i, j, k), 0-based and continuous: on the outer edges of voxels."""
    perpendicular: Ends
    """A line of that length, square to the longest, halfway between the places that reach farthest across it."""


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
    to_mm = _plane_frame(affine_ras[:3, [first, second]])
    longest_mm, best, hull = 0.0, 0, np.zeros((0, 2))
    for index in np.flatnonzero(mask.any(axis=(first, second))):
        corners = _hull(np.take(mask, index, across), to_mm)
        length_mm = float(_lengths(corners).max())
        if length_mm > longest_mm:
            longest_mm, best, hull = length_mm, int(index), corners
    lines = _diameters(hull)
    perpendicular_mm = float(np.linalg.norm(lines[1][1] - lines[1][0]))
    longest, perpendicular = (_ends(line @ np.linalg.inv(to_mm).T, across, best) for line in lines)
    return Diameters(longest_mm, perpendicular_mm, best, across, longest, perpendicular)


def _ends(line: FloatArray, across: int, index: int) -> Ends:
    (a, b, c), (d, e, f) = np.round(np.insert(line, across, index, axis=1), 3).tolist()
    return (a, b, c), (d, e, f)


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


def _plane_frame(steps: FloatArray) -> FloatArray:
    """Return the matrix (2, 2) from pixels of a slice to mm in an orthonormal frame of its plane.

    Args:
        steps: (3, 2), mm in the world for one pixel along each axis.
    """
    frame, _ = np.linalg.qr(steps)
    return np.asarray(frame.T @ steps, np.float64)


def _hull(pixels: BoolArray, to_mm: FloatArray) -> FloatArray:
    """Return the corners of the convex hull of a slice in mm, (n, 2)."""
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(pixels.any(axis=1))
    lowest = pixels[rows].argmax(axis=1)
    highest = pixels.shape[1] - 1 - pixels[rows][:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, lowest], 1), np.stack([rows, highest], 1)]).astype(np.float64)
    edges = np.concatenate([ends + half for half in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))])
    points: FloatArray = edges @ to_mm.T
    return np.asarray(points[ConvexHull(points).vertices])


def _lengths(hull: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(hull[:, None, :] - hull[None, :, :], axis=2))


def _diameters(hull: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the longest line of a hull, and the extent square to it as a line; (2, 2) each, mm."""
    lengths = _lengths(hull)
    one, other = np.unravel_index(int(lengths.argmax()), lengths.shape)
    along = (hull[other] - hull[one]) / lengths[one, other]
    square = np.array([-along[1], along[0]])
    reach = hull @ square
    farthest = [int(reach.argmin()), int(reach.argmax())]
    middle = along * float((hull[farthest] @ along).mean())
    return hull[[one, other]], np.stack([middle + square * reach[n] for n in farthest])
