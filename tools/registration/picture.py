"""Pictures of an alignment: a checkerboard of both images, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.imaging.render import overlay_png
from tools.imaging.slices import preset_for, window

if TYPE_CHECKING:
    from tools.imaging.volume import AnyArray, Volume

TILES = 8


def checkerboard_png(fixed: Volume, moved: AnyArray, path: Path, *, title: str, moved_units: str) -> str:
    """Draw tiles of the fixed and the moved image in turn: where they fit, edges run on from tile to tile.

    Returns:
        What is shown, in one sentence.
    """
    board = np.zeros(fixed.shape, bool)
    for axis, n in enumerate(fixed.shape):
        tile = np.arange(n) // max(1, -(-n // TILES)) % 2 == 1
        board ^= tile.reshape([-1 if a == axis else 1 for a in range(3)])
    other = fixed.with_array(moved, units=moved_units)
    pictures = [window(v.array, preset_for(v, {})) for v in (fixed, other)]
    shown = overlay_png(fixed.with_array(np.where(board, *pictures[::-1]), units=""), {}, path, title=title)
    return f"checkerboard of both images, {shown}"
