"""Points of the chest and trunk from outlined structures: where airways fork, lungs end, vessels arch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.errors import UnsupportedError
from tools.imaging.geometry import closest_canonical, voxel_to_world, world_to_voxel
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import FoundPoint, Loading, Progress

BRONCHUS_MM2 = 30.0  # smaller lumens are noise or branches further down
FORK_MM = 7.5  # both lumens go on through this height
TRACHEA_MM = 20.0  # the single lumen above the fork
TIP_MM = 3.0  # a tip is the middle of the last 3 mm, so that one voxel does not decide
DOME_MARGIN_MM = 15.0  # away from the lung's rim, where its lower surface rises with the ribs
FEMORAL_HEAD_MM = 45.0  # diameter in adults: 40 to 55 mm

Finder = Callable[["_Upright"], NDArray[np.float64] | None]


class _Upright(NamedTuple):
    """One structure with axes to Right, Anterior, Superior."""

    mask: BoolArray
    spacing_mm: tuple[float, float, float]


def _carina(airways: _Upright) -> NDArray[np.float64] | None:
    """Return the point between the two main bronchi in the first slice, from above, in which they are apart."""
    import cc3d

    least = max(1, round(BRONCHUS_MM2 / (airways.spacing_mm[0] * airways.spacing_mm[1])))
    single = forked = 0
    pair: tuple[BoolArray, BoolArray] | None = None
    for k in range(airways.mask.shape[2] - 1, -1, -1):
        labels = cc3d.connected_components(
            np.ascontiguousarray(airways.mask[..., k]), connectivity=8, binary_image=True
        )
        sizes = np.bincount(labels.ravel())
        large = [n for n in np.argsort(-sizes) if n and sizes[n] >= least]
        if len(large) >= 2 and single * airways.spacing_mm[2] >= TRACHEA_MM:
            pair = pair or (labels == large[0], labels == large[1])
            forked += 1
            if forked * airways.spacing_mm[2] >= FORK_MM:
                i, j = _between(*pair, airways.spacing_mm)
                return np.array([i, j, k + forked - 1], np.float64)
        elif len(large) == 1:
            single, forked, pair = single + forked + 1, 0, None
    return None


def _between(one: BoolArray, other: BoolArray, spacing_mm: Sequence[float]) -> tuple[float, float]:
    """Return the middle of the shortest way from one area of a slice to another."""
    from scipy.ndimage import distance_transform_edt

    distance, nearest = distance_transform_edt(~other, sampling=spacing_mm[:2], return_indices=True)
    distance = np.where(one, distance, np.inf)
    i, j = np.unravel_index(int(np.argmin(distance)), distance.shape)
    return (i + float(nearest[0, i, j])) / 2, (j + float(nearest[1, i, j])) / 2


def _tip(axis: int, end: int) -> Finder:
    """Return a finder of a structure's end: the middle of its last 3 mm along an axis."""

    def find(structure: _Upright) -> NDArray[np.float64]:
        voxels = np.argwhere(structure.mask)
        along = voxels[:, axis] * end
        near = voxels[along >= along.max() - TIP_MM / structure.spacing_mm[axis]]
        return np.asarray(near.mean(0), np.float64)

    return find


def _dome(lung: _Upright, *, behind_the_heart: bool) -> NDArray[np.float64] | None:
    """Return the highest point of a lung's lower surface, away from its rim; on the left only in its back half."""
    from scipy.ndimage import distance_transform_edt, median_filter

    columns = lung.mask.any(axis=2)
    if not columns.any():
        return None
    lowest = np.where(columns, lung.mask.argmax(axis=2), 0)
    heights = np.flatnonzero(lung.mask.any(axis=(0, 1)))
    low_part = columns & (lowest < heights[0] + 0.5 * (heights[-1] - heights[0]))
    inner = distance_transform_edt(low_part, sampling=lung.spacing_mm[:2]) >= DOME_MARGIN_MM
    rows = np.flatnonzero(low_part.any(axis=0))
    if not rows.size:
        return None
    if behind_the_heart:
        inner &= (np.arange(columns.shape[1]) <= (rows[0] + rows[-1]) / 2 + 1)[None, :]
    if not inner.any():
        return None
    surface = np.where(inner, median_filter(lowest, size=5), -1)
    top = np.argwhere(surface == surface.max()).mean(0)
    return np.array([*top, float(surface.max())])


def _femoral_head(femur: _Upright) -> NDArray[np.float64]:
    """Return the middle of the head: the inner part of the upper end."""
    voxels = np.argwhere(femur.mask).astype(np.float64)
    steps = np.array(femur.spacing_mm)
    upper = voxels[voxels[:, 2] >= voxels[:, 2].max() - FEMORAL_HEAD_MM / steps[2]]
    midline = (femur.mask.shape[0] - 1) / 2
    inward = -np.sign(voxels[:, 0].mean() - midline) or 1.0
    along = upper[:, 0] * inward
    head = upper[along >= along.max() - FEMORAL_HEAD_MM / steps[0]]
    return np.asarray((head.min(0) + head.max(0)) / 2)


POINTS: Mapping[str, tuple[str, Finder]] = MappingProxyType(
    {
        "carina": ("airways", _carina),
        "lung_apex_left": ("lung_left", _tip(2, 1)),
        "lung_apex_right": ("lung_right", _tip(2, 1)),
        "diaphragm_dome_left": ("lung_left", partial(_dome, behind_the_heart=True)),
        "diaphragm_dome_right": ("lung_right", partial(_dome, behind_the_heart=False)),
        "aortic_arch": ("aorta", _tip(2, 1)),
        "aortic_bifurcation": ("aorta", _tip(2, -1)),
        "sternal_notch": ("sternum", _tip(2, 1)),
        "xiphoid": ("sternum", _tip(2, -1)),
        "femoral_head_left": ("femur_left", _femoral_head),
        "femoral_head_right": ("femur_right", _femoral_head),
    }
)
"""By name: the structure that a point is taken from, and how."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lung_apices": ("lung_apex_left", "lung_apex_right"),
        "diaphragm_dome": ("diaphragm_dome_left", "diaphragm_dome_right"),
        "femoral_head": ("femoral_head_left", "femoral_head_right"),
    }
)
"""Names that stand for a point on each side."""


class LandmarksFromMasks:
    """Geometry on masks; it opens no image values, so it is as good as the masks are."""

    def single(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of single points, with groups replaced by their points."""
        return single(names)

    def structures(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the structures that points are taken from, each once."""
        return tuple(dict.fromkeys(POINTS[name][0] for name in single(names)))

    def landmarks_of(
        self, volume: Volume, outlines: Mapping[str, BoolArray], names: Sequence[str], progress: Progress
    ) -> tuple[FoundPoint, ...]:
        """Return the points whose structures are outlined and that show there; the others are left out."""
        if not volume.orientation_known:
            raise UnsupportedError("the image does not say how it lies in the patient, so up and left are unknown")
        found = []
        wanted = single(names)
        for number, name in enumerate(wanted):
            progress(number / len(wanted), f"looking for {name.replace('_', ' ')}")
            structure, find = POINTS[name]
            mask = outlines.get(structure)
            if mask is None or not mask.any() or _is_cut(name, mask, volume):
                continue
            place = _found(find, mask, volume)
            if place is not None:
                found.append(FoundPoint(name, place))
        return tuple(found)


def single(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of single points, with groups replaced by their points."""
    return tuple(dict.fromkeys(point for name in names for point in GROUPS.get(name, (name,))))


def _found(find: Finder, mask: BoolArray, volume: Volume) -> tuple[float, float, float] | None:
    """Run a finder on an upright copy and return its point in the image's own voxels."""
    upright = closest_canonical(replace(volume, array=mask))
    steps = np.linalg.norm(upright.affine_ras[:3, :3], axis=0)
    place = find(_Upright(np.asarray(upright.array), (float(steps[0]), float(steps[1]), float(steps[2]))))
    if place is None:
        return None
    i, j, k = (float(n) for n in world_to_voxel(volume, voxel_to_world(upright, place)))
    return i, j, k


_UPPER = frozenset({"lung_apex_left", "lung_apex_right", "aortic_arch", "sternal_notch"})
_LOWER = frozenset({"aortic_bifurcation", "xiphoid"})


def _is_cut(name: str, mask: BoolArray, volume: Volume) -> bool:
    """Say whether the end that is looked for lies at the edge of the image, where the structure may go on."""
    if name not in _UPPER | _LOWER:
        return False
    upright = closest_canonical(replace(volume, array=mask))
    heights = np.flatnonzero(upright.array.any(axis=(0, 1)))
    return bool(heights[-1] == upright.shape[2] - 1 if name in _UPPER else heights[0] == 0)


def load(loading: Loading) -> LandmarksFromMasks:
    """Return the method; it has no weights."""
    return LandmarksFromMasks()
