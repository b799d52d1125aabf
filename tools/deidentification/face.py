"""The face of a head volume, cut away by a plane below and before the brain.

After Schimke and Hale, Quickshear defacing for neuroimages, HealthSec 2011: seen from the side, the line that touches
the brain in front and below, moved away from it by a margin; all beyond it is removed. The brain stays whole. Ears,
the back of the head and the skull's shape stay too: this makes recognition hard, not impossible.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tools.imaging.volume import Affine, BoolArray, Volume

MARGIN_MM = 6.0  # the dura and what the brain mask misses of the frontal pole
BRAIN_ML = (400.0, 2300.0)  # a newborn's to the largest adult's: outside it, what was found is no whole brain
_STEEPEST, _FLATTEST = np.radians((20.0, 75.0))  # of the plane's normal below the horizontal: forehead to chin


class Cut(NamedTuple):
    """What a cut takes away."""

    removed: BoolArray
    """(i, j, k): voxels beyond the plane."""
    angle_deg: float
    """Of the plane's normal below straight ahead."""


def cut_face(brain: BoolArray, affine_ras: Affine) -> Cut:
    """Return the voxels of the face.

    Args:
        brain: bool (i, j, k), the whole brain.
        affine_ras: of the image; RAS+ mm, the head not turned by more than a few degrees.

    Raises:
        ValueError: the mask is empty.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty")
    ahead, up = affine_ras[1], affine_ras[2]
    rim = _rim(brain)
    points = np.column_stack((rim @ ahead[:3] + ahead[3], rim @ up[:3] + up[3]))
    angle = _touching_angle(points)
    normal = np.array([np.cos(angle), -np.sin(angle)])
    limit = float((points @ normal).max()) + MARGIN_MM
    i, j, k = np.ogrid[tuple(slice(0, n) for n in brain.shape)]
    weights = normal @ np.array([ahead, up])
    beyond = i * weights[0] + j * weights[1] + k * weights[2] + weights[3] > limit
    return Cut(np.asarray(beyond), float(np.degrees(angle)))


def _rim(brain: BoolArray) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the voxels with a neighbour outside: the only ones that a plane can touch."""
    from scipy.ndimage import binary_erosion

    return np.argwhere(brain & ~binary_erosion(brain))


def _touching_angle(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Return the angle of the line that touches the brain in front and below: the hull's longest edge there."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError:
        return float(np.radians(45))
    best, longest = float(np.radians(45)), 0.0
    for (one, other), (forward, upward, _) in zip(hull.simplices, hull.equations, strict=True):
        angle = float(np.arctan2(-upward, forward))
        length = float(np.linalg.norm(points[one] - points[other]))
        if _STEEPEST <= angle <= _FLATTEST and length > longest:
            best, longest = angle, length
    return best


def plausible_brain(brain: BoolArray, volume: Volume) -> bool:
    """Say whether a mask is as large as a brain."""
    ml = np.count_nonzero(brain) * volume.voxel_volume_mm3 / 1000
    return bool(BRAIN_ML[0] <= ml <= BRAIN_ML[1])


def brain_in_ct(volume: Volume) -> BoolArray:
    """Return the brain of a head CT: the largest piece of soft tissue that bone encloses.

    A rough mask for placing the cut, not for measuring: soft tissue of 0 to 90 HU, eroded by 5 mm so that the openings
    of the skull close, its largest component grown back.

    Args:
        volume: CT in HU, with spacing.
    """
    import cc3d
    from scipy.ndimage import binary_dilation, distance_transform_edt

    soft = (volume.array >= 0) & (volume.array <= 90)
    inner = distance_transform_edt(soft, sampling=volume.spacing_mm) > 5.0
    labels = cc3d.connected_components(np.ascontiguousarray(inner), connectivity=6)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    if not counts.any():
        return np.zeros(volume.shape, dtype=np.bool_)
    core = labels == int(counts.argmax())
    steps = max(1, round(5.0 / min(volume.spacing_mm)))
    return np.asarray(binary_dilation(core, iterations=steps, mask=soft))
