"""Voxel index to world and back, and reorientation that keeps array and affine together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.volume import Affine, AnyArray, Volume

FloatArray = NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""float64 (4, 4): DICOM world mm (LPS+) to our world mm (RAS+); its own inverse."""

_CODES = (("L", "R"), ("P", "A"), ("I", "S"))


def voxel_to_world(volume: Volume, ijk: FloatArray) -> FloatArray:
    """Return the world points of voxel positions.

    Args:
        volume: the image.
        ijk: (..., 3) voxel indices, 0-based centres, fractions allowed.

    Returns:
        float64 (..., 3), RAS+ mm.
    """
    return np.asarray(ijk, dtype=np.float64) @ volume.affine_ras[:3, :3].T + volume.affine_ras[:3, 3]


def world_to_voxel(volume: Volume, points_ras: FloatArray) -> FloatArray:
    """Return the voxel positions of world points.

    Args:
        volume: the image.
        points_ras: (..., 3) RAS+ mm.

    Returns:
        float64 (..., 3) voxel indices, 0-based centres, not rounded and not clipped to the image.
    """
    offset = np.asarray(points_ras, dtype=np.float64) - volume.affine_ras[:3, 3]
    solved = np.linalg.solve(volume.affine_ras[:3, :3], offset.reshape(-1, 3).T)
    return np.asarray(solved.T.reshape(offset.shape), dtype=np.float64)


def orientation_codes(affine_ras: Affine) -> str:
    """Return the nearest anatomical directions of the axes (i, j, k), such as "LPS": i grows towards Left.

    Args:
        affine_ras: float64 (4, 4), voxel index to RAS+ mm.
    """
    codes = ["", "", ""]
    for axis, world in enumerate(_axis_worlds(affine_ras)):
        codes[axis] = _CODES[world][int(affine_ras[world, axis] > 0)]
    return "".join(codes)


def to_orientation(volume: Volume, codes: str) -> Volume:
    """Return the volume with axes permuted and flipped so that they run along `codes`; no voxel is resampled.

    Args:
        volume: a 3-D image.
        codes: three letters, one of R/L, A/P, S/I each, in any order: "RAS", "LPS", …

    Raises:
        BadInputError: `codes` is not such a triple.
        UnsupportedError: the image is 2-D (it is shown as stored) or does not say how it lies in the patient.
    """
    _require_orientation(volume)
    moves = _moves(volume.affine_ras, codes)
    array, affine = _moved(volume.array, volume.affine_ras, moves)
    return replace(volume, array=array, affine_ras=affine)


def closest_canonical(volume: Volume) -> Volume:
    """Return the volume with axes nearest to RAS+ (i to Right, j to Anterior, k to Superior); see `to_orientation`."""
    return to_orientation(volume, "RAS")


def from_canonical(array: AnyArray, volume: Volume) -> AnyArray:
    """Bring an array made on `closest_canonical(volume)` back to the axes of `volume`.

    Args:
        array: (i, j, k) or (i, j, k, channels) of the canonical volume.
        volume: the image as it was read.

    Returns:
        The same values with the first three axes as in `volume`.

    Raises:
        ValueError: the shape is not that of the canonical volume.
    """
    _require_orientation(volume)
    moves = _moves(volume.affine_ras, "RAS")
    expected = tuple(volume.shape[axis] for axis, _ in moves)
    if tuple(array.shape[:3]) != expected:
        raise ValueError(f"array must have the shape {expected} of the canonical volume, got {array.shape}")
    back = array[tuple(slice(None, None, -1) if flip else slice(None) for _, flip in moves)]
    order = [axis for axis, _ in moves]
    return np.ascontiguousarray(back.transpose([*np.argsort(order), *range(3, array.ndim)]))


def own_slice(volume: Volume, axis: int, number: int) -> tuple[int, int]:
    """Return where a slice of `closest_canonical(volume)` lies in the image's own array.

    Args:
        volume: the image as it was read.
        axis: of the canonical volume.
        number: of the slice along it, 0-based.

    Returns:
        Axis and slice number (0-based) of the image's own array.
    """
    if volume.dims == 2 or not volume.orientation_known:
        return axis, number
    source, flip = _moves(volume.affine_ras, "RAS")[axis]
    return source, volume.shape[source] - 1 - number if flip else number


def describe_geometry(volume: Volume) -> dict[str, Any]:
    """Return the geometry as small JSON data; what the image does not say is None.

    Returns:
        `shape`, `dims`, `spacing_mm` (one number per dimension), `spacing_source`, `orientation` (such as "LPS"),
        `extent_mm` (outer edge to outer edge), `dtype`, `colour`.
    """
    spacing = volume.spacing_mm[: volume.dims] if volume.spacing_source else None
    extent = [round(n * s, 3) for n, s in zip(volume.shape, spacing, strict=False)] if spacing else None
    return {
        "shape": list(volume.shape[: volume.dims]),
        "dims": volume.dims,
        "spacing_mm": [round(step, 6) for step in spacing] if spacing else None,
        "spacing_source": volume.spacing_source,
        "orientation": orientation_codes(volume.affine_ras)[: volume.dims] if volume.orientation_known else None,
        "extent_mm": extent,
        "dtype": str(volume.array.dtype),
        "colour": volume.is_colour,
    }


def _axis_worlds(affine_ras: Affine) -> tuple[int, int, int]:
    """Return for each voxel axis its nearest world axis, each world axis once."""
    from itertools import permutations

    steps = np.abs(affine_ras[:3, :3] / np.linalg.norm(affine_ras[:3, :3], axis=0))
    best = max(permutations(range(3)), key=lambda worlds: sum(steps[w, a] for a, w in enumerate(worlds)))
    return best[0], best[1], best[2]


def _moves(affine_ras: Affine, codes: str) -> list[tuple[int, bool]]:
    """Return for each target axis the source axis and whether it is flipped."""
    wanted = [next((w for w, pair in enumerate(_CODES) if code in pair), -1) for code in codes]
    if sorted(wanted) != [0, 1, 2]:
        raise BadInputError(f"codes must name each of R/L, A/P and S/I once, such as 'RAS', got {codes!r}")
    worlds = _axis_worlds(affine_ras)
    sources = [worlds.index(world) for world in wanted]
    return [
        (source, (affine_ras[world, source] > 0) != (code == _CODES[world][1]))
        for source, world, code in zip(sources, wanted, codes, strict=True)
    ]


def _moved(array: AnyArray, affine: Affine, moves: list[tuple[int, bool]]) -> tuple[AnyArray, Affine]:
    order = [source for source, _ in moves]
    turned = array.transpose([*order, *range(3, array.ndim)])
    turned = turned[tuple(slice(None, None, -1) if flip else slice(None) for _, flip in moves)]
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for target, (source, flip) in enumerate(moves):
        change[source, target] = -1 if flip else 1
        change[source, 3] = array.shape[source] - 1 if flip else 0
    return np.ascontiguousarray(turned), affine @ change


def _require_orientation(volume: Volume) -> None:
    if volume.dims == 2:
        raise UnsupportedError("reorientation needs a 3-D volume, got a 2-D image: it is used as stored")
    if not volume.orientation_known:
        raise UnsupportedError("this image does not say how it lies in the patient: it cannot be reoriented")
