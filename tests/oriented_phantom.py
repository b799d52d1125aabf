"""A bright block at the patient's left, in front, near the head, in any orientation."""

from __future__ import annotations

import numpy as np

from tools.imaging.volume import Volume

_WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
STEP_MM = (1.0, 2.0, 3.0)


def phantom_of(codes: str) -> tuple[Volume, np.ndarray]:
    """Return the phantom as CT with array axes along `codes`, and where the block's middle is, in RAS+ mm."""
    shape = tuple(24 - 2 * axis for axis in range(3))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, code in enumerate(codes):
        world, sign = _WORLD[code]
        affine[world, axis] = sign * STEP_MM[axis]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    index = np.moveaxis(np.indices(shape), 0, -1)
    grid = index @ affine[:3, :3].T + affine[:3, 3]
    half = np.abs(affine[:3, :3]) @ (np.array(shape) - 1) / 2
    middle = half * np.array([-0.5, 0.5, 0.5])
    block = (np.abs(grid - middle) < half * 0.3).all(-1)
    array = np.where(block, 300, 0).astype(np.int16)
    return Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU"), middle
