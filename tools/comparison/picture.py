"""The change map: what a structure kept, gained and lost, on the later study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.changes import CHANGE_MASKS
from tools.imaging.nifti import write_nifti
from tools.imaging.render import overlay_png
from tools.imaging.slices import preset_for

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume

MAP = "change-map.png"


def change_map(current: Volume, now: BoolArray, before: BoolArray, folder: Path, title: str) -> str:
    """Write gained and lost voxels as masks, and a picture of them; says what it shows.

    Args:
        current: the later study.
        now: the structures in it.
        before: the earlier study's, aligned with it.
        folder: where the files go.
        title: a line above the picture.
    """
    parts = {"unchanged": now & before, "gained": now & ~before, "lost": before & ~now}
    for name, file in CHANGE_MASKS.items():
        write_nifti(folder / file, parts[name], like=current)
    preset = preset_for(current, {"lungs": now} if current.units == "HU" and _is_airy(current, now) else {})
    return overlay_png(current, parts, folder / MAP, title=title, preset=preset)


def _is_airy(current: Volume, inside: BoolArray) -> bool:
    return bool(inside.any()) and float(np.median(current.array[inside])) < -500
