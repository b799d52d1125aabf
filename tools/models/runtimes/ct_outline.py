"""Draws what was found in blocks of the working grid on the CT's own voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.imaging.volume import AnyArray, BoolArray
from tools.models.runtimes.ct_grid import WorkingGrid
from tools.models.runtimes.morphology import Box, bounding_box, neighbours


def outline(
    grid: WorkingGrid,
    found: BoolArray,
    belongs: Callable[[AnyArray], BoolArray],
    onto: BoolArray | None = None,
) -> BoolArray:
    """Draw a structure voxel by voxel: its rim, one block to either side, by value; its inside whole.

    Args:
        grid: the working grid.
        found: bool, axes of `grid.hu`.
        belongs: says of HU values whether a voxel of the rim belongs to the structure.
        onto: a mask to add the structure to, in place; None starts an empty one.

    Returns:
        bool, the CT's own axes.
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    mask = np.zeros(grid.volume.shape, bool) if onto is None else onto
    blocks = grid.to_native(found)
    steps = grid.frame.spacing_mm
    box = bounding_box(blocks, steps, max(steps))
    if box is None:
        return mask
    near = neighbours(steps)
    wide = np.asarray(binary_dilation(blocks[box], near))
    core = np.asarray(binary_erosion(blocks[box], near, border_value=1))
    for k in range(wide.shape[2]):  # layer by layer: whole copies at full resolution would double the memory
        layer: Box = (box[0], box[1], slice(box[2].start + k, box[2].start + k + 1))
        target = grid.voxels(layer)
        here = slice(k, k + 1)
        rim = grid.enlarged(wide[:, :, here], layer) & belongs(grid.volume.array[target])
        mask[target] |= rim | grid.enlarged(core[:, :, here], layer)
    return mask


def selected(grid: WorkingGrid, region: BoolArray, belongs: Callable[[AnyArray], BoolArray]) -> BoolArray:
    """Return the CT's own voxels of a region whose values belong to a tissue.

    Args:
        grid: the working grid.
        region: bool, axes of `grid.hu`.
        belongs: says of HU values whether a voxel belongs to the tissue.

    Returns:
        bool, the CT's own axes.
    """
    blocks = grid.to_native(region)
    mask = np.zeros(grid.volume.shape, bool)
    for k in range(blocks.shape[2]):
        layer: Box = (slice(0, blocks.shape[0]), slice(0, blocks.shape[1]), slice(k, k + 1))
        target = grid.voxels(layer)
        mask[target] = grid.enlarged(blocks[:, :, k : k + 1], layer) & belongs(grid.volume.array[target])
    return mask
