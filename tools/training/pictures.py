"""How one image becomes the square picture that a trained classifier sees."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.volume import AnyArray, Volume
from tools.models.runtimes.base import Options

Picture = NDArray[np.float32]


class PictureOptions(Options):
    """Size and scale of the picture; written into the card by training."""

    side_px: int = Field(default=128, ge=32, le=1024)
    """Both sides; the image is fitted in with its proportions kept, the rest is its darkest value."""
    intensity: Literal["percentiles"] = "percentiles"
    """1st to 99th percentile of the image."""


def picture_of(volume: Volume, options: PictureOptions) -> Picture:
    """Return float32 (rows, columns), −1 to 1, rows down the picture.

    Raises:
        UnsupportedError: a volume of several slices.
        BadInputError: voxels are not numbers.
    """
    if volume.dims != 2:
        raise UnsupportedError(f"the model classifies single images, got a volume of {volume.shape[2]} slices")
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")
    flat = volume.array[:, :, 0].astype(np.float32)
    plane = (flat.mean(axis=-1) if flat.ndim == 3 else flat).T
    low, high = (float(p) for p in np.percentile(plane, (1, 99)))
    scaled = np.clip((plane - low) / (high - low if high > low else 1.0), 0, 1) * 2 - 1
    rows, columns = _fitted(plane.shape[0], plane.shape[1], options.side_px)
    square = np.full((options.side_px, options.side_px), -1, dtype=np.float32)
    top, left = (options.side_px - rows) // 2, (options.side_px - columns) // 2
    square[top : top + rows, left : left + columns] = _resized(scaled.astype(np.float32), (rows, columns))
    return square


def map_to_image(found: Picture, volume: Volume, options: PictureOptions) -> AnyArray:
    """Bring a map over the picture back to the image's grid, float32 (i, j, 1)."""
    rows, columns = _fitted(volume.shape[1], volume.shape[0], options.side_px)
    top, left = (options.side_px - rows) // 2, (options.side_px - columns) // 2
    inner = np.ascontiguousarray(found[top : top + rows, left : left + columns], dtype=np.float32)
    return _resized(inner, (volume.shape[1], volume.shape[0])).T[:, :, None]


def _fitted(rows: int, columns: int, side: int) -> tuple[int, int]:
    ratio = side / max(rows, columns)
    return max(1, round(rows * ratio)), max(1, round(columns * ratio))


def _resized(plane: Picture, size: tuple[int, int]) -> Picture:
    import torch
    from torch.nn.functional import interpolate

    whole = torch.from_numpy(plane)[None, None]
    return np.asarray(interpolate(whole, size=size, mode="bilinear", antialias=True)[0, 0].numpy())
