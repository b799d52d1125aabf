"""Images as networks made for pictures see them: one 8-bit RGB picture a slice, pixel (x, y) being voxel (i, j)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.slices import WINDOWS, Preset, window

if TYPE_CHECKING:
    from PIL.Image import Image

    from tools.imaging.volume import AnyArray, Volume


def picture(volume: Volume, index: int = 0, preset: Preset = "auto") -> Image:
    """Return one slice along the third axis: column x is voxel i, row y is voxel j.

    Args:
        volume: the image.
        index: of the slice.
        preset: how values become gray; the CT windows only for HU.

    Raises:
        BadInputError: the slice holds values that are no numbers, or one value everywhere.
    """
    from PIL import Image as Images

    return Images.fromarray(np.ascontiguousarray(rgb(volume.array[:, :, index].swapaxes(0, 1), preset)))


def rgb(plane: AnyArray, preset: Preset = "auto") -> Any:
    """Return (rows, columns) numbers or (rows, columns, 3) colour as uint8 (rows, columns, 3).

    Raises:
        BadInputError: values that are no numbers, or one value everywhere.
    """
    if not np.isfinite(plane).all():
        raise BadInputError("the image holds values that are no numbers (NaN or infinite): convert the original again")
    if plane.min() == plane.max():
        raise BadInputError(f"the image is blank: every pixel has the value {float(plane.min()):g}")
    if plane.ndim == 3:
        return np.asarray(plane, dtype=np.uint8)
    gray = plane if plane.dtype == np.uint8 and preset == "auto" else window(plane, preset)
    return np.repeat(gray[..., None], 3, axis=2)


def one_picture(volume: Volume, what: str, preset: Preset = "auto") -> Image:
    """Return a 2-D image as a picture.

    Raises:
        UnsupportedError: it is a volume.
        BadInputError: as `picture`.
    """
    if volume.dims != 2:
        raise UnsupportedError(
            f"{what} reads single pictures, got a volume of {volume.shape[2]} slices: attach one slice"
        )
    return picture(volume, 0, preset_of(volume, preset))


def preset_of(volume: Volume, wished: Preset) -> Preset:
    """Return the wished window where the values are HU, else "auto"."""
    return wished if volume.units == "HU" or wished not in WINDOWS else "auto"
