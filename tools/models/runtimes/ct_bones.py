"""Bones in a CT, without the blood pools that contrast medium makes as dense as bone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.errors import UnsupportedError
from tools.imaging.volume import BoolArray
from tools.models.runtimes.ct_body import find_body
from tools.models.runtimes.ct_grid import HUArray, WorkingGrid
from tools.models.runtimes.morphology import bounding_box, closed, components, dilated

BONE_HU = 130  # spongy bone begins near here; so does enhanced blood
CORTEX_HU = 450  # what holds no voxel as dense as cortical bone is no bone
MIN_BONE_ML = 1.0
SMOOTH_HU = 45.0  # local standard deviation: enhanced blood on our sample 10 to 40, bone 60 and more
POOL_REACH_MM = 8.0
CLOSING_MM = 3.0
MARROW_HU = -50


def find_bones(grid: WorkingGrid) -> BoolArray:
    """Find bones by density and texture, marrow included.

    Args:
        grid: a CT on the working grid.

    Returns:
        bool, axes of `grid.hu`.

    Raises:
        UnsupportedError: nothing in the body is as dense as bone.
    """
    import fill_voids

    whole = find_body(grid)
    box = bounding_box(whole, grid.spacing_mm, 0.0)
    bones = np.zeros_like(whole)
    if box is None:
        return bones
    grid, body = grid.inside(box), whole[box]
    dense = np.asarray((grid.hu > BONE_HU) & body)
    dense &= ~_blood_pools(grid, dense)
    labels, found = components(dense, at_least=max(1, int(MIN_BONE_ML / grid.voxel_ml)))
    kept = np.zeros(int(labels.max()) + 1, bool)
    for component in found:
        values = grid.hu[component.box][labels[component.box] == component.label]
        kept[component.label] = values.max() > CORTEX_HU and np.mean(values > 300) > 0.1
    if not kept.any():
        raise UnsupportedError(f"no bones found: nothing in the body is as dense as cortical bone ({CORTEX_HU} HU)")
    shell = closed(np.asarray(kept[labels]), grid.spacing_mm, CLOSING_MM)
    bones[box] = fill_voids.fill(shell) & (grid.hu > MARROW_HU)
    return bones


def _blood_pools(grid: WorkingGrid, dense: BoolArray) -> BoolArray:
    """Return dense regions that are smooth inside, with their rims: heart, great vessels, enhanced organs."""
    from scipy.ndimage import binary_propagation

    smooth = dense & (_local_deviation(grid.hu) < SMOOTH_HU)
    labels, found = components(smooth, at_least=max(1, int(MIN_BONE_ML / grid.voxel_ml)))
    large = np.zeros(int(labels.max()) + 1, bool)
    large[[component.label for component in found]] = True
    cores = np.asarray(large[labels])
    return np.asarray(binary_propagation(cores, mask=dense & dilated(cores, grid.spacing_mm, POOL_REACH_MM)))


def _local_deviation(hu: HUArray) -> NDArray[np.float32]:
    """Return the standard deviation over 5 × 5 × 3 blocks (about 7 mm), in HU."""
    from scipy.ndimage import uniform_filter

    values = np.clip(hu, -200, 1500).astype(np.float32)
    mean = uniform_filter(values, (5, 5, 3))
    variance = uniform_filter(values**2, (5, 5, 3)) - mean**2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), dtype=np.float32)
