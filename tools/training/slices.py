"""How a volume becomes the slices that a trained network sees, and how its answer comes back to the image's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import closest_canonical, from_canonical
from tools.imaging.volume import AnyArray, Volume
from tools.models.runtimes.base import Options

if TYPE_CHECKING:
    from torch import Tensor

FloatStack = NDArray[np.float32]
HU_RANGE = (-1024.0, 1024.0)  # air to cortical bone; metal beyond it tells no organs apart
SOFT_TISSUE_HU = (-160.0, 240.0)  # seen as channels of its own: in the whole range, organs differ by 2 % of it
MULTIPLE = 8  # the network halves a slice three times
MAX_PIXELS = 1024


class SliceOptions(Options):
    """The grid and scale of a network's input; written into the card by training."""

    axis: int = Field(ge=0, le=2)
    """Axis that the slices are stacked along: 0 to Right, 1 to Anterior, 2 to Superior; 2 in a 2-D image."""
    pixel_mm: float | None = Field(default=None, gt=0)
    """Side of an input pixel; None for pictures without spacing, which are brought to `longest_px`."""
    longest_px: int = Field(default=128, ge=MULTIPLE, le=MAX_PIXELS)
    """Longest side of an input slice where there is no spacing."""
    context: int = Field(default=1, ge=0, le=4)
    """Neighbouring slices on each side that the network sees too."""
    intensity: Literal["hu", "percentiles"]
    """"hu": Hounsfield units from −1024 to 1024; "percentiles": the image's own 1st to 99th percentile."""

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return (2 * self.context + 1) * (2 if self.intensity == "hu" else 1)


@dataclass(frozen=True)
class Stack:
    """The slices of one volume at the network's scale."""

    array: FloatStack
    """float32 (slices, rows, columns), −1 to 1."""
    options: SliceOptions


def options_for(volume: Volume, pixel_mm: float | None) -> SliceOptions:
    """Return how to slice volumes like this one: along the axis with the coarsest spacing."""
    axis = 2
    if volume.dims == 3:
        canonical = closest_canonical(volume)
        steps = canonical.spacing_mm
        axis = 2 if steps[2] >= 0.99 * max(steps) else int(np.argmax(steps))
        side = pixel_mm or max(min(steps), 0.5)
    else:
        side = pixel_mm or 0.0
    return SliceOptions(
        axis=axis,
        pixel_mm=side or None,
        context=1 if volume.dims == 3 else 0,
        intensity="hu" if volume.units == "HU" else "percentiles",
    )


def stack_of(volume: Volume, options: SliceOptions) -> Stack:
    """Return the slices of a volume at the network's scale.

    Raises:
        BadInputError: voxels are not numbers.
        UnsupportedError: colour, or the network was trained on another kind of values or on millimetres that this
            image does not have.
    """
    if volume.is_colour:
        raise UnsupportedError("an image with one value per voxel is needed, got a colour image")
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")
    if options.intensity == "hu" and volume.units != "HU":
        raise UnsupportedError("the model was trained on Hounsfield units, which this image does not have: attach a CT")
    scaled = scale(_oriented(volume, volume.array), options)
    return Stack(_resized(scaled, _rows_columns(volume, options)), options)


def mask_stack(mask: AnyArray, volume: Volume, options: SliceOptions) -> FloatStack:
    """Return a mask at the network's scale: the share of each input pixel that lies inside, 0 to 1."""
    moved = np.moveaxis(_oriented(volume, mask), options.axis, 0).astype(np.float32)
    return _resized(moved, _rows_columns(volume, options))


def scale(canonical: AnyArray, options: SliceOptions) -> FloatStack:
    """Return values from −1 to 1, slices first.

    Args:
        canonical: (i, j, k) with axes nearest to RAS+.
        options: how.
    """
    moved = np.moveaxis(canonical, options.axis, 0).astype(np.float32)
    low, high = HU_RANGE
    if options.intensity == "percentiles":
        low, high = (float(p) for p in np.percentile(moved, (1, 99)))
    span = high - low if high > low else 1.0
    return np.asarray(np.clip((moved - low) / span, 0, 1) * 2 - 1, dtype=np.float32)


def with_context(array: FloatStack, numbers: Any, options: SliceOptions) -> FloatStack:
    """Return slices with their neighbours (and, in CT, the soft-tissue window) as channels, padded to be halved."""
    offsets = np.arange(-options.context, options.context + 1)
    wanted = np.clip(np.asarray(numbers)[:, None] + offsets, 0, len(array) - 1)
    seen = array[wanted]
    if options.intensity == "hu":
        low, high = (2 * (edge - HU_RANGE[0]) / (HU_RANGE[1] - HU_RANGE[0]) - 1 for edge in SOFT_TISSUE_HU)
        soft = np.clip((seen - low) / (high - low), 0, 1) * 2 - 1
        seen = np.concatenate([seen, soft.astype(np.float32)], axis=1)
    return padded(seen)


def padded(batch: FloatStack) -> FloatStack:
    """Return a batch whose last two axes are multiples of 8; the edge is repeated."""
    rows, columns = batch.shape[-2:]
    add = [(0, 0)] * (batch.ndim - 2) + [(0, -rows % MULTIPLE), (0, -columns % MULTIPLE)]
    return np.pad(batch, add, mode="edge")


def to_image(probability: FloatStack, volume: Volume, options: SliceOptions) -> AnyArray:
    """Bring slices at the network's scale back to the grid of the image.

    Args:
        probability: float32 (slices, rows, columns), without padding.
        volume: the image.
        options: how it was sliced.

    Returns:
        float32 (i, j, k) of the image.
    """
    shape = _oriented_shape(volume)
    plane = tuple(n for axis, n in enumerate(shape) if axis != options.axis)
    back = np.moveaxis(_resized(probability, (plane[0], plane[1])), 0, options.axis)
    return np.asarray(from_canonical(back, volume)) if _turns(volume) else np.ascontiguousarray(back)


def _turns(volume: Volume) -> bool:
    return volume.dims == 3 and volume.orientation_known


def _oriented(volume: Volume, array: AnyArray) -> AnyArray:
    return closest_canonical(volume.with_array(array)).array if _turns(volume) else array


def _oriented_shape(volume: Volume) -> tuple[int, int, int]:
    return closest_canonical(volume).shape if _turns(volume) else volume.shape


def _rows_columns(volume: Volume, options: SliceOptions) -> tuple[int, int]:
    """Return the size of a slice at the network's scale."""
    source = closest_canonical(volume) if _turns(volume) else volume
    axes = [axis for axis in range(3) if axis != options.axis]
    sizes = [source.shape[axis] for axis in axes]
    if options.pixel_mm is None:
        ratio = options.longest_px / max(sizes)
        wanted = [n * ratio for n in sizes]
    else:
        wanted = [n * source.spacing_mm[axis] / options.pixel_mm for n, axis in zip(sizes, axes, strict=True)]
    rows, columns = (max(8, round(n)) for n in wanted)
    if max(rows, columns) > MAX_PIXELS:
        raise UnsupportedError(
            f"a slice would have {rows} × {columns} pixels at the model's scale; at most {MAX_PIXELS} are allowed"
        )
    return rows, columns


def _resized(stack: FloatStack, size: tuple[int, int]) -> FloatStack:
    """Resize the last two axes over the same extent; shrinking averages."""
    import torch
    from torch.nn.functional import interpolate

    if stack.shape[-2:] == size:
        return stack
    whole: Tensor = torch.from_numpy(np.ascontiguousarray(stack))[:, None]
    parts = [
        interpolate(whole[start : start + 16], size=size, mode="bilinear", antialias=True)
        for start in range(0, len(whole), 16)
    ]
    return np.asarray(torch.cat(parts)[:, 0].numpy(), dtype=np.float32)
