"""Single slices as pictures, for browsers that cannot draw volumes, and thumbnails for the list of cases."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tools.errors import BadInputError
from tools.imaging.geometry import orientation_codes
from ui.viewing.heats import colours_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from tools.imaging.volume import BoolArray, Volume

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
FILL_ALPHA = 0.4
MAX_SIDE_PX = 1024
THUMBNAIL_PX = 96


@dataclass(frozen=True)
class Laid:
    """What lies over a slice."""

    masks: Sequence[tuple[BoolArray, tuple[int, int, int]]] = ()
    """Voxels inside, and the colour to fill with."""
    heats: Sequence[tuple[Any, float]] = ()
    """Values, and the one that is solid."""
    opacity: float = FILL_ALPHA


NOTHING = Laid()


@dataclass(frozen=True)
class View:
    """How a plane is cut from the array, and which way it lies on the screen."""

    across: int
    """The array's axis that the slice number counts along."""
    right: int
    down: int
    """The array's axes along columns and rows."""
    flip_right: bool
    flip_down: bool
    flip_across: bool
    """Whether the array's slices run from head to feet, from front to back or from right to left."""


def view_of(volume: Volume, plane: str) -> View:
    """Return how a plane lies: the patient's right on the left of the picture, head or front at the top.

    An image that does not say how it lies is cut along its own axes.

    Raises:
        BadInputError: no such plane.
    """
    if plane not in PLANES:
        raise BadInputError(f"plane must be one of {', '.join(PLANES)}, got {plane!r}")
    if not volume.orientation_known or volume.dims == 2:
        across, right, down = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}[plane]
        return View(across, right, down, flip_right=False, flip_down=plane != "axial", flip_across=False)
    codes = orientation_codes(volume.affine_ras)
    left, front, up = (next(a for a, code in enumerate(codes) if code in pair) for pair in ("LR", "PA", "IS"))
    across, right, down = {"axial": (up, left, front), "coronal": (front, left, up), "sagittal": (left, front, up)}[
        plane
    ]
    # to the right of the picture: the patient's left, or in sagittal cuts the back; down: the back, or the feet
    wanted = "P" if plane == "sagittal" else "L"
    flip_down = codes[down] != ("P" if plane == "axial" else "I")
    return View(across, right, down, codes[right] != wanted, flip_down, codes[across] in "LPI")


def slice_picture(
    volume: Volume,
    plane: str,
    index: int,
    window: tuple[float, float],
    laid: Laid = NOTHING,
) -> Image:
    """Return one slice in square millimetres with masks and heat maps over it.

    Args:
        volume: the image.
        plane: one of `PLANES`.
        index: along the array's own axis, 0-based.
        window: the values that are black and white.
        laid: what lies over it.

    Raises:
        BadInputError: no such plane or slice.
    """
    from PIL import Image as Images

    view = view_of(volume, plane)
    count = volume.shape[view.across]
    if not 0 <= index < count:
        raise BadInputError(f"index must be from 0 to {count - 1} in the {plane} plane, got {index}")
    gray = _windowed(_cut(volume.array, view, index), window, is_colour=volume.is_colour)
    pixels = gray.astype(np.float32)
    for mask, colour in laid.masks:
        inside = _cut(mask, view, index)
        pixels[inside] += laid.opacity * (np.array(colour, np.float32) - pixels[inside])
    for heat, most in laid.heats:
        over = colours_of(_cut(heat, view, index), most)
        pixels += laid.opacity * over[..., 3:] * (over[..., :3] - pixels)
    picture = Images.fromarray((pixels + 0.5).astype(np.uint8))
    return picture.resize(_size(volume, view), Images.Resampling.BILINEAR)


def _cut(array: Any, view: View, index: int) -> Any:
    plane = np.take(array, index, view.across)
    if view.right < view.down:  # `take` leaves the axes in their order: rows must come first
        plane = plane.swapaxes(0, 1)
    return plane[:: -1 if view.flip_down else 1, :: -1 if view.flip_right else 1]


def _windowed(plane: Any, window: tuple[float, float], *, is_colour: bool) -> Any:
    if is_colour:
        return np.ascontiguousarray(plane)
    low, high = window
    scaled = np.clip((plane.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.repeat(np.nan_to_num(scaled)[..., None], 3, axis=2)


def _size(volume: Volume, view: View) -> tuple[int, int]:
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    wide, high = volume.shape[view.right] * steps[view.right], volume.shape[view.down] * steps[view.down]
    pixel = max(min(steps[view.right], steps[view.down]), max(wide, high) / MAX_SIDE_PX)
    return max(1, round(wide / pixel)), max(1, round(high / pixel))


def overlay_picture(shape: tuple[int, int, int], masks: Sequence[tuple[BoolArray, tuple[int, int, int]]]) -> Image:
    """Return masks of a film as a picture in the film's own pixels, clear where there is none."""
    from PIL import Image as Images

    pixels = np.zeros((shape[1], shape[0], 4), np.uint8)
    for mask, colour in masks:
        pixels[mask[:, :, 0].T] = (*colour, 255)
    return Images.fromarray(pixels)


def heat_picture(heat: Any, most: float) -> Image:
    """Return a heat map of a film in the film's own pixels.

    Args:
        heat: (i, j, 1), in any unit.
        most: the value that is solid.
    """
    from PIL import Image as Images

    return Images.fromarray((colours_of(heat[:, :, 0].T, most) * (1, 1, 1, 255) + 0.5).astype(np.uint8))


def thumbnail(volume: Volume, window: tuple[float, float]) -> Image:
    """Return the middle axial slice, or the film, within 96 pixels."""
    index = volume.shape[view_of(volume, "axial").across] // 2
    picture = slice_picture(volume, "axial", index, window)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return picture


def png(picture: Image) -> bytes:
    """Return a picture as a PNG file: packed little, for it is made anew with every move of a slider."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def planes_json(volume: Volume) -> dict[str, Any]:
    """Return each plane's axes for a viewer that shows pictures of slices."""
    return {
        plane: {**view_of(volume, plane).__dict__, "size": list(_size(volume, view_of(volume, plane)))}
        for plane in PLANES
    }
