"""The patient in a CT: what lies inside the skin, without table and clothes."""

from __future__ import annotations

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.volume import BoolArray
from tools.models.runtimes.ct_grid import WorkingGrid
from tools.models.runtimes.morphology import components, dilated, eroded

TISSUE_HU = -500  # half-way between air (-1000) and water (0), where the partial volume of the skin is half
CUT_LUNG_HU = (-950, -500)  # median of lung; room air lies near -1000
SIDE_DEPTH = (0.15, 0.85)  # of the body's front-to-back extent; the table, as light as lung, lies beyond
TABLE_GAP_MM = 3.0  # opening that parts the patient from sheets and the table's cover
MIN_BODY_ML = 50.0


def find_body(grid: WorkingGrid) -> BoolArray:
    """Return what lies inside the patient's skin, air-filled organs included.

    Args:
        grid: a CT on the working grid.

    Returns:
        bool, axes of `grid.hu`.

    Raises:
        UnsupportedError: the image holds no connected tissue of at least 50 ml.
    """
    tissue = (grid.hu > TISSUE_HU) & ~grid.padding
    core = eroded(tissue, grid.spacing_mm, TABLE_GAP_MM)
    labels, found = components(core)
    if not found or found[0].voxels * grid.voxel_ml < MIN_BODY_ML:
        raise UnsupportedError(
            f"no body found: the largest piece of tissue (above {TISSUE_HU} HU) has "
            f"{found[0].voxels * grid.voxel_ml if found else 0:.0f} ml; check that the values are Hounsfield units"
        )
    largest = np.asarray(labels == found[0].label)
    solid = dilated(largest, grid.spacing_mm, TABLE_GAP_MM) & tissue
    for k in range(solid.shape[2]):
        solid[..., k] = _filled(solid[..., k], grid, k)
    return solid


def _filled(solid: BoolArray, grid: WorkingGrid, k: int) -> BoolArray:
    """Add to one axial slice what the body encloses, and lung that the field of view cuts at the patient's side."""
    import cc3d

    measured = ~grid.padding[..., k]
    labels, count = cc3d.connected_components(~solid & measured, connectivity=4, binary_image=True, return_N=True)
    if not count or not solid.any():
        return solid
    border = np.ones_like(measured)
    border[1:-1, 1:-1] = ~(measured[:-2, 1:-1] & measured[2:, 1:-1] & measured[1:-1, :-2] & measured[1:-1, 2:])
    outside = np.zeros(count + 1, bool)
    outside[0] = True
    rows = np.flatnonzero(solid.any(axis=0))
    for label in np.unique(labels[border & (labels > 0)]):
        region = labels == label
        depth = (np.average(np.arange(region.shape[1]), weights=region.sum(axis=0)) - rows[0]) / (
            rows[-1] - rows[0] + 1
        )
        is_beside = SIDE_DEPTH[0] < depth < SIDE_DEPTH[1]
        outside[label] = not (is_beside and CUT_LUNG_HU[0] < np.median(grid.hu[..., k][region]) < CUT_LUNG_HU[1])
    return np.asarray(solid | ~outside[labels])
