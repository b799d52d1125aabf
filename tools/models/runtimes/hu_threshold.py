"""What Hounsfield units, shape and connected components can tell in a CT; no weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.models.runtimes.base import Loading, Progress, Segmentation
from tools.models.runtimes.ct_airways import above_bronchi, find_airways
from tools.models.runtimes.ct_body import TISSUE_HU, find_body
from tools.models.runtimes.ct_bones import BONE_HU, find_bones
from tools.models.runtimes.ct_grid import AIR_HU, WorkingGrid, working_grid
from tools.models.runtimes.ct_lungs import LUNG_HU, Lungs, find_lungs
from tools.models.runtimes.ct_outline import outline, selected
from tools.models.runtimes.morphology import dilated, eroded

MIN_SLICES = 5
AIRWAY_HU = -500  # the border of lumen and wall
FAT_HU = (-190, -30)
"""Adipose tissue: Yoshizumi et al., Radiology 211 (1999) 283."""
RIM_MM = 2.5  # skin and the rims of lung and bowel gas pass through the values of fat


class HuThreshold:
    """Finds lungs, lung_left, lung_right, trachea, airways, body, bones and fat."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in a CT; see `SegmentRuntime`."""
        _require_ct(volume)
        progress(0.0, "averaging to 1.5 mm")
        scan = _Scan(working_grid(volume))
        masks: dict[str, BoolArray] = {}
        for number, target in enumerate(targets):
            progress(0.1 + 0.9 * number / len(targets), f"looking for {target.replace('_', ' ')}")
            masks[target] = FINDERS[target](scan)
        return Segmentation(masks, tuple(scan.notes))


class _Scan:
    """One CT and what was found in it so far, so that two targets share their work."""

    def __init__(self, grid: WorkingGrid) -> None:
        self.grid = grid
        self.notes: list[str] = []

    @cached_property
    def lungs(self) -> Lungs:
        found = find_lungs(self.grid)
        self.notes += found.notes
        return found

    @cached_property
    def left(self) -> BoolArray:
        return outline(self.grid, self.lungs.left, _aerated)

    @cached_property
    def right(self) -> BoolArray:
        return outline(self.grid, self.lungs.right, _aerated) & ~self.left

    @cached_property
    def body(self) -> BoolArray:
        return find_body(self.grid)

    @cached_property
    def airways(self) -> BoolArray:
        found = find_airways(self.grid, self.body)
        if found is None:
            self.notes.append("no trachea was recognised")
            return np.zeros_like(self.body)
        return found


def _lungs(scan: _Scan) -> BoolArray:
    return outline(scan.grid, scan.lungs.right, _aerated, onto=outline(scan.grid, scan.lungs.left, _aerated))


def _lung(side: str) -> Callable[[_Scan], BoolArray]:
    def find(scan: _Scan) -> BoolArray:
        if not scan.lungs.separated:
            raise UnsupportedError(
                "the lungs touch so widely here that left and right cannot be told apart: ask for 'lungs'"
            )
        return scan.left if side == "left" else scan.right

    return find


def _trachea(scan: _Scan) -> BoolArray:
    cut = above_bronchi(scan.grid, scan.airways)
    if cut is None and scan.airways.any():
        scan.notes.append("no carina was seen: the trachea's mask holds all airways that were followed")
    return outline(scan.grid, scan.airways if cut is None else cut, _lumen)


def _airways(scan: _Scan) -> BoolArray:
    return outline(scan.grid, scan.airways, _lumen)


def _body(scan: _Scan) -> BoolArray:
    return outline(scan.grid, scan.body, lambda hu: np.asarray(hu > TISSUE_HU))


def _bones(scan: _Scan) -> BoolArray:
    return outline(scan.grid, find_bones(scan.grid), lambda hu: np.asarray(hu > BONE_HU))


def _fat(scan: _Scan) -> BoolArray:
    spacing = scan.grid.spacing_mm
    air = (scan.grid.hu < (FAT_HU[0] + AIR_HU) / 2) & scan.body
    region = eroded(scan.body, spacing, RIM_MM) & ~dilated(air, spacing, RIM_MM)
    return selected(scan.grid, region, lambda hu: np.asarray((hu >= FAT_HU[0]) & (hu <= FAT_HU[1])))


FINDERS: Mapping[str, Callable[[_Scan], BoolArray]] = MappingProxyType(
    {
        "lungs": _lungs,
        "lung_left": _lung("left"),
        "lung_right": _lung("right"),
        "trachea": _trachea,
        "airways": _airways,
        "body": _body,
        "bones": _bones,
        "fat": _fat,
    }
)


def _aerated(hu: AnyArray) -> BoolArray:
    return np.asarray(hu < LUNG_HU)


def _lumen(hu: AnyArray) -> BoolArray:
    return np.asarray(hu < AIRWAY_HU)


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


def load(loading: Loading) -> HuThreshold:
    """Return the runtime; it has no weights and always computes on the CPU."""
    return HuThreshold()
