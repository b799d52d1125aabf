"""PNG and JPEG pictures: gray or colour, without millimetres and without a place in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.reasons import one_line
from tools.imaging.volume import ORIENTATION_UNKNOWN, AnyArray, Volume

MAX_PIXELS = 89_000_000  # just under where Pillow starts to warn; the largest detectors have under 20 million pixels

PICTURE_AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])
"""float64 (4, 4), voxel units: i runs right, j down the picture, as an axial slice in LPS is shown."""

_GRAY_MODES = ("L", "I;16", "I;16L", "I;16B", "I", "1")


def read_raster(path: Path) -> Volume:
    """Read a PNG or JPEG picture.

    Gray stays gray with all its bits (uint8 or uint16); colour becomes RGB uint8, gray stored as RGB becomes gray. A
    resolution in the file is print resolution, never patient mm, and is not used.

    Args:
        path: the file.

    Returns:
        A 2-D volume without spacing: i runs right, j down.

    Raises:
        BadInputError: the picture is damaged.
        UnsupportedError: too large, transparent, several frames, or an unusual pixel type.
    """
    from PIL import Image, UnidentifiedImageError

    _require_eight_bit_colour(path)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnsupportedError(_too_large(path))
            if getattr(picture, "n_frames", 1) > 1:
                raise UnsupportedError(f"{path.name!r} is animated: save one frame as PNG")
            _require_upright(picture.getexif().get(0x0112, 1), path)
            array = _pixels(picture, path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnsupportedError(_too_large(path)) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadInputError(f"{path.name!r} is a damaged picture ({one_line(error)}): export it again") from error
    return Volume(array.swapaxes(0, 1)[:, :, np.newaxis], PICTURE_AFFINE, header=ORIENTATION_UNKNOWN)


def _too_large(path: Path) -> str:
    return f"{path.name!r} unpacks to more than {MAX_PIXELS} pixels, the most that are read: scale it down"


def _require_eight_bit_colour(path: Path) -> None:
    """Refuse 16-bit colour and 16-bit gray with alpha in PNG, which Pillow would cut to 8 bits without a word."""
    with path.open("rb") as stream:
        start = stream.read(26)
    if start.startswith(b"\x89PNG") and start[24:25] == b"\x10" and start[25:26] != b"\0":
        raise UnsupportedError(f"{path.name!r} is 16-bit colour PNG: save it as 16-bit gray or as 8-bit colour")


def _require_upright(exif_orientation: int, path: Path) -> None:
    if exif_orientation != 1:
        raise UnsupportedError(
            f"{path.name!r} is to be turned or mirrored when shown (EXIF Orientation {exif_orientation}): "
            "save it upright, so that left and right are certain"
        )


def _pixels(picture: object, path: Path) -> AnyArray:
    """Return (row, column) gray or (row, column, 3) uint8."""
    from PIL import Image

    assert isinstance(picture, Image.Image)  # noqa: S101 - Pillow is not imported at module level
    if picture.mode in _GRAY_MODES:
        return _gray(np.asarray(picture), path)
    if picture.mode == "LA" or (picture.mode == "L" and "transparency" in picture.info):
        return _opaque(np.asarray(picture.convert("LA")), path)[..., 0]
    if picture.mode not in ("RGB", "RGBA", "P"):
        raise UnsupportedError(f"{path.name!r} has pixel type {picture.mode!r}: save it as gray or RGB PNG")
    rgb = _opaque(np.asarray(picture.convert("RGBA")), path)[..., :3]
    return rgb[..., 0] if (rgb == rgb[..., :1]).all() else rgb


def _gray(array: AnyArray, path: Path) -> AnyArray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype == np.int32:
        if array.min() < 0 or array.max() > np.iinfo(np.uint16).max:
            raise UnsupportedError(f"{path.name!r} has gray values beyond 16 bits: save it as 16-bit PNG")
        return array.astype(np.uint16)
    return array


def _opaque(array: AnyArray, path: Path) -> AnyArray:
    if (array[..., -1] != 255).any():
        raise UnsupportedError(f"{path.name!r} is partly transparent: save it without an alpha channel")
    return array
