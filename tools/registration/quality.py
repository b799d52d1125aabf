"""How well do two aligned images fit, and is the map one that tissue could follow?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.registration.align import moved, points_in
from tools.registration.grid import from_itk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.registration.align import Pair

BINS = 40
POINTS = 2000
JACOBIAN_EDGE = 96  # voxels along the longest edge of the grid on which the map's Jacobian is looked at


def similarity(pair: Pair, transform: Any) -> tuple[float, float, float]:
    """Return normalised mutual information, correlation and overlap of the moving image mapped onto the fixed one.

    Normalised mutual information is (H(a) + H(b)) ÷ H(a, b): 1 for independent images, 2 for the same one (Studholme et
    al., Pattern Recognition 32 (1999) 71). Overlap is the share of the fixed grid that the moving image covers.
    """
    import SimpleITK as sitk  # noqa: N813

    ones = sitk.Add(sitk.Multiply(pair.moving, 0.0), 1.0)
    inside = from_itk(sitk.Resample(ones, pair.fixed, transform, sitk.sitkNearestNeighbor, 0.0)) > 0.5
    overlap = float(inside.mean())
    if np.count_nonzero(inside) < BINS:
        return 1.0, 0.0, overlap
    mapped = from_itk(sitk.Resample(pair.moving, pair.fixed, transform, sitk.sitkLinear, 0.0))
    a, b = from_itk(pair.fixed)[inside], mapped[inside]
    return _nmi(a, b), _correlation(a, b), overlap


def _nmi(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = np.percentile(values, (0.5, 99.5))
        return np.asarray(np.clip((values - low) / max(float(high - low), 1e-6), 0, 1), np.float32)

    joint, _, _ = np.histogram2d(spread(a), spread(b), BINS)
    share = joint / joint.sum()
    both = _entropy(share)
    return (_entropy(share.sum(0)) + _entropy(share.sum(1))) / both if both > 0 else 1.0


def _entropy(share: NDArray[np.float64]) -> float:
    used = share[share > 0]
    return float(-(used * np.log(used)).sum())


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def inverse_consistency_mm(pair: Pair, there: Any, back: Any, seed: int) -> tuple[float, float]:
    """Return mean and 95th percentile of how far points come back from where they began, there and back again.

    Args:
        pair: both images.
        there: transform from fixed to moving points.
        back: transform found with the images exchanged.
        seed: of the choice of points, which lie in the fixed image's brighter half and map into the moving image.
    """
    values = from_itk(pair.fixed)
    points = points_in(pair.fixed, POINTS, seed, values > np.median(values))
    mapped = moved(there, points)
    size = np.array(pair.moving.GetSize())
    index = np.array([pair.moving.TransformPhysicalPointToContinuousIndex([float(x) for x in p]) for p in mapped])
    seen = ((index >= 0) & (index <= size - 1)).all(axis=1)
    if not seen.any():
        return float("nan"), float("nan")
    apart = np.linalg.norm(moved(back, mapped[seen]) - points[seen], axis=1)
    return float(apart.mean()), float(np.percentile(apart, 95))


def jacobian(pair: Pair, transform: Any) -> tuple[float, float, float]:
    """Return least and greatest local change of volume and the share of points where the map folds (≤ 0)."""
    import SimpleITK as sitk  # noqa: N813

    step = max(1, round(max(pair.fixed.GetSize()) / JACOBIAN_EDGE))
    grid = sitk.Shrink(pair.fixed, [min(step, max(1, n // 4)) for n in pair.fixed.GetSize()])
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, grid.GetSize(), grid.GetOrigin(), grid.GetSpacing(), grid.GetDirection()
    )
    # ITK's own filter takes an oblique grid's axes for the world's, so the derivative is turned here.
    moves = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3)
    slope = np.stack(np.gradient(moves, axis=(0, 1, 2)), axis=-1)
    matrix = np.array(grid.GetDirection()).reshape(3, 3) * np.array(grid.GetSpacing())
    values = np.linalg.det(np.eye(3) + slope @ np.linalg.inv(matrix))
    return float(values.min()), float(values.max()), float((values <= 0).mean())
