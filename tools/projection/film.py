"""A picture that no scanner took, as an image: its gray values, its geometry, and the mark burned into its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.imaging.volume import ORIENTATION_UNKNOWN, SYNTHETIC_NOTE, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import AnyArray

__all__ = ["MARK", "SYNTHETIC_NOTE", "burned", "film"]

MARK = "SYNTHETIC"
WHITE = 4095  # 12 bits, as films have
_DARK_PERCENTILE, _BRIGHT_PERCENTILE = 1.0, 99.7
_SMALLEST_PX = 10


def film(integrals: NDArray[np.float32], body_part: str, view: str) -> Volume:
    """Return line integrals (rows, columns) as a marked 2-D image without spacing, uint16, bones white.

    Its pixels lie in the detector's plane, where a millimetre is none in the patient.
    """
    used = integrals[integrals > 0] if (integrals > 0).any() else integrals
    low, high = (float(p) for p in np.percentile(used, (_DARK_PERCENTILE, _BRIGHT_PERCENTILE)))
    scaled = np.clip((integrals - low) / max(high - low, 1e-6), 0, 1) * WHITE
    pixels = burned(np.rint(scaled).astype(np.uint16).T[:, :, None])
    header = {**ORIENTATION_UNKNOWN, **SYNTHETIC_NOTE, **({"ViewPosition": view} if view else {})}
    return Volume(pixels, np.diag([1.0, -1.0, 1.0, 1.0]), modality="DX", body_part=body_part, header=header)


def burned(array: AnyArray) -> AnyArray:
    """Return an array (i, j, k) with the word SYNTHETIC in the top of every slice along k, in its brightest value.

    Whoever copies the pixels copies the mark: it survives formats that keep no other.
    """
    stamp = _stamp(array.shape[0], array.shape[1])
    bright, dark = array.max(), array.min()
    marked = array.copy()
    top = marked[: stamp.shape[0], : stamp.shape[1]]
    top[stamp == 1] = dark
    top[stamp == 2] = bright if bright > dark else dark + 1
    return marked


def _stamp(width: int, height: int) -> Any:
    """Return uint8 (i, j): 0 leaves the pixel, 1 is the letters' shadow, 2 the letters; as wide as half the picture."""
    from PIL import Image, ImageDraw, ImageFont

    size = max(_SMALLEST_PX, min(width // 12, height // 6))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(MARK, stroke_width=max(1, size // 12))
    canvas = Image.new("L", (int(right - left) + 6, int(bottom - top) + 6), 0)
    at = (3 - left, 3 - top)
    draw = ImageDraw.Draw(canvas)
    draw.text(at, MARK, fill=1, font=font, stroke_width=max(1, size // 12), stroke_fill=1)
    shadow = np.asarray(canvas)
    letters = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(letters).text(at, MARK, fill=255, font=font)
    stamp = np.where(np.asarray(letters) >= 128, 2, (shadow > 0).astype(np.uint8))
    return stamp.T[:width, :height].astype(np.uint8)
