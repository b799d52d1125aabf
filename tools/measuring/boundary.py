"""How far a value moves when a mask's boundary moves by half a voxel: what a mask alone says of its uncertainty.

A mask places the boundary between two voxel centres and says no more; an outline that is right within half a voxel is
the best that it can mean. It is not the error of whoever outlined: that may be far larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tools.imaging.volume import AnyArray, BoolArray

METHOD = "boundary moved by half a voxel"


@dataclass(frozen=True)
class Boundary:
    """A mask's neighbourhood, cut out with a margin of one voxel."""

    box: tuple[slice, slice, slice]
    """Where it lies in the image, without the margin."""
    inside: BoolArray
    smaller: BoolArray
    """The mask without the voxels that touch its outside at a face."""
    larger: BoolArray
    """The mask with the voxels that touch it at a face, also those beyond the image's edge."""

    @property
    def half_voxel(self) -> float:
        """How many voxels the mask gains or loses by half a voxel: a quarter of larger minus smaller.

        Moving by half a voxel takes half of the layer that a whole voxel takes, on either side.
        """
        return (int(np.count_nonzero(self.larger)) - int(np.count_nonzero(self.smaller))) / 4

    def mean_shift(self, array: AnyArray) -> float:
        """Return how far the mean of an image inside moves by half a voxel: half of what a whole voxel does.

        Args:
            array: the image (i, j, k); real numbers. Voxels beyond its edge do not count.
        """
        values = array[self.box].astype(np.float64)
        core = (slice(1, -1),) * 3
        grown = _grown_box(self.box, array.shape)
        mean = float(values[self.inside[core]].mean())
        others = [float(array[grown][self._part(grown)].mean(dtype=np.float64))]
        if self.smaller.any():
            others.append(float(values[self.smaller[core]].mean()))
        return max(abs(other - mean) for other in others) / 2

    def _part(self, grown: tuple[slice, ...]) -> BoolArray:
        """Return `larger` without what lies beyond the image's edge."""
        cut = tuple(
            slice(1 - (own.start - wide.start), self.larger.shape[axis] - 1 + (wide.stop - own.stop))
            for axis, (own, wide) in enumerate(zip(self.box, grown, strict=True))
        )
        return self.larger[cut]


def boundary_of(inside: BoolArray) -> Boundary:
    """Return a mask's neighbourhood; in a 2-D image (k = 1) the boundary moves in its plane only.

    Args:
        inside: bool (i, j, k), at least one voxel.
    """
    spans = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    padded = np.pad(inside[box], 1)
    smaller, larger = padded.copy(), padded.copy()
    for axis in range(3 if inside.shape[2] > 1 else 2):
        for way in (1, -1):
            moved = np.roll(padded, way, axis)  # the margin keeps what wraps around empty
            smaller &= moved
            larger |= moved
    return Boundary((box[0], box[1], box[2]), padded, smaller, larger)


def _grown_box(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, shape[:3], strict=True))
