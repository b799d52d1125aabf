"""A coarser copy of a CT on which shape is decided; the outline itself is drawn on the CT's own voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError
from tools.imaging.geometry import closest_canonical, from_canonical
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.models.runtimes.morphology import Box

HUArray = NDArray[np.int16]

WORKING_MM = 1.5  # the resolution at which TotalSegmentator works; finer costs time and gained nothing on our sample
AIR_HU = -1024
PADDING_HU = -1100  # below any physical value: scanners write -2000 and less where they measured nothing


@dataclass(frozen=True)
class WorkingGrid:
    """Block means of a CT on axes nearest to RAS+."""

    volume: Volume
    """The CT as it was read."""
    strides: tuple[int, int, int]
    """Voxels of the CT per block, along its own axes (i, j, k)."""
    frame: Volume
    """The grid of blocks on the CT's own axes; it carries geometry only, no values."""
    hu: HUArray
    """The block means with axes to Right, Anterior, Superior; at least -1024."""
    padding: BoolArray
    """Where the scanner measured nothing, axes as `hu`."""
    spacing_mm: tuple[float, float, float]
    """Of `hu`."""

    @cached_property
    def voxel_ml(self) -> float:
        """Volume of a block, in ml."""
        return float(np.prod(self.spacing_mm)) / 1000

    def ml(self, mask: AnyArray) -> float:
        """Volume of a mask on this grid, in ml."""
        return float(np.count_nonzero(mask)) * self.voxel_ml

    def inside(self, box: Box) -> WorkingGrid:
        """Return the grid cut to a box of `hu`; `to_native` needs the whole one."""
        return replace(self, hu=self.hu[box], padding=self.padding[box])

    def to_native(self, mask: BoolArray) -> BoolArray:
        """Turn a mask with axes as `hu` to the CT's own axes, still in blocks."""
        return np.asarray(from_canonical(mask, self.frame))

    def enlarged(self, blocks: BoolArray, box: Box) -> BoolArray:
        """Return blocks as voxels of the CT.

        Args:
            blocks: bool, the CT's own axes, the blocks of a box.
            box: where they lie, in blocks.

        Returns:
            bool with the shape of `self.voxels(box)`.
        """
        for axis, stride in enumerate(self.strides):
            blocks = blocks.repeat(stride, axis) if stride > 1 else blocks
        shape = [span.stop - span.start for span in self.voxels(box)]
        return blocks[: shape[0], : shape[1], : shape[2]]

    def voxels(self, box: Box) -> Box:
        """Return the voxels of the CT that a box of blocks covers."""
        spans = [
            slice(b.start * s, min(n, b.stop * s)) for n, b, s in zip(self.volume.shape, box, self.strides, strict=True)
        ]
        return spans[0], spans[1], spans[2]


def working_grid(volume: Volume) -> WorkingGrid:
    """Average a CT over blocks of about 1.5 mm.

    Args:
        volume: a 3-D CT in HU with known spacing and orientation.

    Raises:
        BadInputError: a voxel is not a number.
    """
    spacing = volume.spacing_mm
    strides = tuple(max(1, int(WORKING_MM // step + 1e-6)) for step in spacing)
    means = _block_means(volume.array, (strides[0], strides[1], strides[2]))
    affine = volume.affine_ras.copy()
    affine[:3, :3] = volume.affine_ras[:3, :3] * strides
    affine[:3, 3] = volume.affine_ras[:3, :3] @ ((np.array(strides) - 1) / 2) + volume.affine_ras[:3, 3]
    pooled = replace(volume, array=means, affine_ras=affine)
    canonical = closest_canonical(pooled)
    hu: HUArray = np.maximum(canonical.array, AIR_HU).astype(np.int16, copy=False)
    return WorkingGrid(
        volume=volume,
        strides=(strides[0], strides[1], strides[2]),
        frame=replace(pooled, array=np.broadcast_to(np.False_, pooled.shape)),
        hu=hu,
        padding=np.asarray(canonical.array < PADDING_HU),
        spacing_mm=canonical.spacing_mm,
    )


def _block_means(array: AnyArray, strides: tuple[int, int, int]) -> HUArray:
    """Return block means, int16; a block that sticks out repeats the last voxel of its row."""
    shape = [-(-n // s) for n, s in zip(array.shape, strides, strict=True)]
    total: NDArray[Any] = np.zeros(shape, np.float32)
    for offset in np.ndindex(*strides):
        total += array[_picked(array.shape, strides, offset)]
    if not np.isfinite(total).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")
    total /= np.float32(np.prod(strides))
    np.clip(total, -32768, 32767, out=total)
    means: HUArray = total.astype(np.int16)
    return means


def _picked(shape: tuple[int, ...], strides: tuple[int, int, int], offset: tuple[int, ...]) -> Any:
    """Return an index of one voxel per block: slices where the blocks fit, the last voxel repeated where not."""
    if all(n % s == 0 for n, s in zip(shape, strides, strict=True)):
        return tuple(slice(o, None, s) for o, s in zip(offset, strides, strict=True))
    rows = [np.minimum(np.arange(o, -(-n // s) * s, s), n - 1) for n, s, o in zip(shape, strides, offset, strict=True)]
    return np.ix_(*rows)
