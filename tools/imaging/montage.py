"""What a model that reads pictures is shown: a film whole, of a volume nine slices, windowed and labelled."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import BadInputError
from tools.imaging.geometry import orientation_codes
from tools.imaging.slices import Preset, preset_for, window
from tools.imaging.volume import AnyArray, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

SLICES = 9
TILE_PX, FILM_PX = 336, 1024
_INK = (236, 239, 244)


class Shown(NamedTuple):
    """A picture, and what it shows in one sentence."""

    picture: Image
    caption: str


def montage(volume: Volume, preset: Preset | None = None) -> Shown:
    """Lay out an image for a model that reads pictures.

    A volume that knows how it lies in the patient is shown in axial slices from feet to head, the patient's right on
    the left of the picture; another as stored, along its third axis.

    Args:
        volume: the image.
        preset: the window; None chooses: soft tissue for HU, else from the 0.5th to the 99.5th percentile.

    Raises:
        BadInputError: values that are no numbers, or one value everywhere.
    """
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise BadInputError("the image holds values that are no numbers (NaN or infinite): convert the original again")
    if volume.array.min() == volume.array.max():
        raise BadInputError(f"the image is blank: every voxel has the value {float(volume.array.flat[0]):g}")
    chosen = (preset if volume.units == "HU" else None) or preset_for(volume, {})
    if volume.dims == 2:
        picture = _tile(_gray(volume.array[:, :, 0].swapaxes(0, 1), chosen, volume), _steps(volume, 0, 1), FILM_PX)
        return Shown(picture, f"the whole image, {_said(chosen)}")
    return _of_volume(volume, chosen)


def png(picture: Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def _of_volume(volume: Volume, preset: Preset) -> Shown:
    from PIL import Image as Images
    from PIL import ImageDraw

    array, steps, plane = _axial(volume)
    count = array.shape[2]
    places = np.unique((np.linspace(0.08, 0.92, SLICES) * (count - 1)).round().astype(int))
    side = int(np.ceil(np.sqrt(len(places))))
    page = Images.new("RGB", (side * TILE_PX, int(np.ceil(len(places) / side)) * TILE_PX))
    draw = ImageDraw.Draw(page)
    for number, place in enumerate(places):
        tile = _tile(_gray(array[:, :, place].swapaxes(0, 1), preset, volume), steps, TILE_PX)
        left, top = number % side * TILE_PX, number // side * TILE_PX
        page.paste(tile, (left + (TILE_PX - tile.width) // 2, top + (TILE_PX - tile.height) // 2))
        draw.text((left + 6, top + 4), f"{place + 1}/{count}", fill=_INK, stroke_width=1, stroke_fill=(0, 0, 0))
        if plane == "axial":
            draw.text((left + 6, top + TILE_PX // 2), "R", fill=_INK, stroke_width=1, stroke_fill=(0, 0, 0))
    way = "axial slices from feet to head" if plane == "axial" else "slices as stored"
    return Shown(page, f"{len(places)} of {count} {way}, {_said(preset)}")


def _axial(volume: Volume) -> tuple[AnyArray, tuple[float, float], str]:
    """Return axes (towards left, back and head of the patient), the in-plane steps, and the plane."""
    if not volume.orientation_known:
        return volume.array, _steps(volume, 0, 1), "as stored"
    codes = orientation_codes(volume.affine_ras)
    order = [next(axis for axis, code in enumerate(codes) if code in pair) for pair in ("LR", "PA", "IS")]
    flips = tuple(slice(None, None, 1 if codes[axis] in "LPS" else -1) for axis in order)
    turned = volume.array.transpose([*order, *range(3, volume.array.ndim)])[flips]
    return turned, _steps(volume, order[0], order[1]), "axial"


def _steps(volume: Volume, across: int, down: int) -> tuple[float, float]:
    lengths = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    return float(lengths[across]), float(lengths[down])


def _gray(plane: AnyArray, preset: Preset, volume: Volume) -> AnyArray:
    if plane.ndim == 3:
        return np.asarray(plane, dtype=np.uint8)
    return plane if plane.dtype == np.uint8 and volume.dims == 2 else np.asarray(window(plane, preset))


def _tile(gray: AnyArray, steps: tuple[float, float], side_px: int) -> Image:
    """Return a slice with square millimetres: a film at most `side_px` wide or high, a tile exactly so."""
    from PIL import Image as Images

    width, height = gray.shape[1] * steps[0], gray.shape[0] * steps[1]
    longest_px = side_px if side_px == TILE_PX else min(side_px, max(gray.shape[:2]))
    scale = longest_px / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Images.fromarray(np.ascontiguousarray(gray)).convert("RGB")
    return picture if picture.size == size else picture.resize(size, Images.Resampling.BICUBIC)


def _said(preset: Preset) -> str:
    return "from its darkest to its brightest values" if preset == "auto" else f"in the {preset} window"
