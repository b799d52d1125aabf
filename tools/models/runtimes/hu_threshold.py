"""Lungs, body and bones in CT by Hounsfield thresholds, shape and connected components; no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.models.runtimes.base import Progress, Segmentation
from tools.models.runtimes.ct_body import TISSUE_HU, find_body
from tools.models.runtimes.ct_bones import BONE_HU, find_bones
from tools.models.runtimes.ct_grid import WorkingGrid, working_grid
from tools.models.runtimes.ct_lungs import LUNG_HU, find_lungs
from tools.models.runtimes.ct_outline import outline

LUNG_TARGETS = ("lungs", "lung_left", "lung_right")
MIN_SLICES = 5


class HuThreshold:
    """Finds what Hounsfield units alone can tell: lungs, lung_left, lung_right, body, bones."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in a CT; see `SegmentRuntime`."""
        _require_ct(volume)
        progress(0.0, "averaging to 1.5 mm")
        grid = working_grid(volume)
        masks: dict[str, BoolArray] = {}
        notes: tuple[str, ...] = ()
        lung_targets = [t for t in targets if t in LUNG_TARGETS]
        if lung_targets:
            progress(0.1, "looking for the lungs")
            found, notes = _lungs(grid, lung_targets, progress)
            masks |= found
        if "body" in targets:
            progress(0.7, "looking for the skin")
            masks["body"] = outline(grid, find_body(grid), lambda hu: np.asarray(hu > TISSUE_HU))
        if "bones" in targets:
            progress(0.8, "looking for bones")
            masks["bones"] = outline(grid, find_bones(grid), lambda hu: np.asarray(hu > BONE_HU))
        return Segmentation({t: masks[t] for t in targets}, notes)


def _lungs(
    grid: WorkingGrid, targets: Sequence[str], progress: Progress
) -> tuple[dict[str, BoolArray], tuple[str, ...]]:
    lungs = find_lungs(grid)
    if not lungs.separated and set(targets) != {"lungs"}:
        raise UnsupportedError(
            "the lungs touch so widely here that left and right cannot be told apart: ask for 'lungs'"
        )
    progress(0.6, "drawing the outline")
    masks: dict[str, BoolArray] = {}
    if "lungs" in targets and len(targets) == 1:
        masks["lungs"] = outline(grid, lungs.left | lungs.right, _aerated)
        return masks, lungs.notes
    masks["lung_left"] = outline(grid, lungs.left, _aerated)
    masks["lung_right"] = outline(grid, lungs.right, _aerated) & ~masks["lung_left"]
    if "lungs" in targets:
        masks["lungs"] = masks["lung_left"] | masks["lung_right"]
    return masks, lungs.notes


def _aerated(hu: AnyArray) -> BoolArray:
    return np.asarray(hu < LUNG_HU)


def _require_ct(volume: Volume) -> None:
    if volume.dims != 3 or min(volume.shape) < MIN_SLICES:
        raise UnsupportedError(f"a CT volume of at least {MIN_SLICES} slices is needed, got {volume.shape}")
    if volume.is_colour:
        raise UnsupportedError("a CT in Hounsfield units is needed, got a colour image")
    low, high = float(np.min(volume.array)), float(np.max(volume.array))
    if low > -200 or high < 0:
        raise UnsupportedError(
            f"the values run from {low:.0f} to {high:.0f}; a CT in Hounsfield units reaches from air (-1000) to water "
            "(0): check the rescale slope and intercept"
        )


def load(weights: Mapping[str, Path], device: str) -> HuThreshold:
    """Return the runtime; it has no weights and always computes on the CPU."""
    return HuThreshold()
