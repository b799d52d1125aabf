"""Where in an image an outlined structure is best seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from tools.imaging.geometry import orientation_codes, voxel_to_world
from tools.imaging.slices import key_slice
from tools.places import Position, Region

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume


def region_of(inside: BoolArray, volume: Volume, named: Region) -> Region | None:
    """Return the slice with most of a structure, its innermost point there, and its box; None: nothing is inside.

    The slice is axial where the image says how it lies in the patient, else one of the third axis.

    Args:
        inside: bool (i, j, k), on the grid of `volume`.
        volume: the image.
        named: image, mask and target; the rest is filled in.
    """
    if not inside.any():
        return None
    axis = slice_axis(volume)
    return on_slice(inside, volume, (axis, key_slice(inside, axis)), named)


def on_slice(inside: BoolArray, volume: Volume, at: tuple[int, int], named: Region) -> Region:
    """Return where a structure lies on a given slice that it reaches.

    Args:
        inside: bool (i, j, k), on the grid of `volume`.
        volume: the image.
        at: axis of the array and 0-based index along it.
        named: image, mask and target; the rest is filled in.
    """
    axis, index = at
    spans = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != each))) for each in range(3)]
    lower, upper = [float(s[0]) for s in spans], [float(s[-1]) for s in spans]
    point = _innermost(np.take(inside, index, axis))
    voxel = (*point[:axis], index, *point[axis:])
    codes = orientation_codes(volume.affine_ras) if volume.orientation_known and volume.dims == 3 else ""
    is_axial = bool(codes) and codes[axis] in "IS"
    from_end = is_axial and codes[axis] == "I"
    count = inside.shape[axis]
    return named.model_copy(
        update={
            "voxel": _position(voxel),
            "position_mm": _world(volume, voxel),
            "axis": cast("Literal[0, 1, 2]", axis),
            "slice_index": index,
            "plane": "axial" if is_axial else "as stored",
            "slice_number": (count - index if from_end else index + 1) if volume.dims == 3 else None,
            "slice_count": count if volume.dims == 3 else None,
            "lower": _position(lower),
            "upper": _position(upper),
            **_box_mm(volume, lower, upper),
        }
    )


def slice_axis(volume: Volume) -> int:
    """Return the array axis across which slices are looked at: nearest to the patient's long axis, else the third."""
    if volume.dims == 2 or not volume.orientation_known:
        return 2
    return next(axis for axis, code in enumerate(orientation_codes(volume.affine_ras)) if code in "IS")


def _innermost(pixels: BoolArray) -> tuple[int, int]:
    """Return the pixel of a slice that lies farthest from the structure's edge, in pixels."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    cut = np.pad(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    depth = distance_transform_edt(cut)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(rows[0] + row - 1), int(columns[0] + column - 1)


def _position(values: tuple[int, ...] | list[float]) -> Position:
    return float(values[0]), float(values[1]), float(values[2])


def _world(volume: Volume, voxel: tuple[int, ...] | list[float]) -> Position | None:
    if volume.spacing_source is None:
        return None
    x, y, z = (round(float(v), 3) for v in voxel_to_world(volume, np.asarray(voxel, dtype=np.float64)))
    return x, y, z


def _box_mm(volume: Volume, lower: list[float], upper: list[float]) -> dict[str, Position | None]:
    """Return the box in world mm, around all eight corners, so that an oblique one is not cut."""
    if volume.spacing_source is None:
        return {"lower_mm": None, "upper_mm": None}
    corners = [[(lower, upper)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)]
    world = voxel_to_world(volume, np.asarray(corners))
    return {
        "lower_mm": _position([round(float(v), 3) for v in world.min(axis=0)]),
        "upper_mm": _position([round(float(v), 3) for v in world.max(axis=0)]),
    }
