"""Both lungs in a CT, told apart, without trachea and main bronchi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.volume import BoolArray
from tools.models.runtimes.ct_airways import find_airways
from tools.models.runtimes.ct_body import find_body
from tools.models.runtimes.ct_grid import WorkingGrid
from tools.models.runtimes.morphology import (
    Box,
    Component,
    bounding_box,
    closed,
    components,
    dilated,
    part_in_two,
)

LUNG_HU = -400  # the border of lung and soft tissue; -500 to -300 change the volume of our sample by under 1 %
GAS_HU = -970  # bowel and sinus gas has its median below this, lung (emphysema included) above
MIN_PIECE_ML = 20.0
LUNG_ML = (150.0, 12000.0)
"""Both lungs as far as the image shows them. Upper end: total lung capacity of a man of 1.95 m is 8.5 l, standard
deviation 0.7 l (Quanjer et al., Eur Respir J 6 Suppl 16 (1993) 5), plus hyperinflation. Lower end: below it the image
shows at most the tips of the lungs, or sinuses."""
AIRWAY_WALL_MM = 3.0
CLOSING_MM = 4.0  # takes vessels up to 8 mm into the lung, as reference outlines do
BOTH_SIDES = 0.15  # a piece with this share on each side of the midline is two lungs that touch


@dataclass(frozen=True)
class Lungs:
    """Both lungs in blocks of the working grid, axes of `grid.hu`."""

    left: BoolArray
    right: BoolArray
    notes: tuple[str, ...]
    separated: bool
    """False where the lungs touch so widely that left and right could not be told apart; all is in `left` then."""


def find_lungs(grid: WorkingGrid) -> Lungs:
    """Find the lungs by air inside the body.

    Args:
        grid: a CT on the working grid.

    Raises:
        UnsupportedError: what air there is cannot be lungs; says why.
    """
    whole = find_body(grid)
    box = bounding_box(whole, grid.spacing_mm, 0.0)
    if box is None:
        raise UnsupportedError("no body found, so no lungs")
    grid, body = grid.inside(box), whole[box]
    airways = find_airways(grid, body)
    air = np.asarray((grid.hu < LUNG_HU) & body)
    if airways is not None:
        air &= ~dilated(airways, grid.spacing_mm, AIRWAY_WALL_MM)
    labels, found = components(air, at_least=max(1, int(MIN_PIECE_ML / grid.voxel_ml)))
    pieces = [(c, np.asarray(labels[c.box] == c.label)) for c in found]
    lungs = [(c, p) for c, p in pieces if np.median(grid.hu[c.box][p]) > GAS_HU]
    _require_plausible(grid, lungs, pieces)
    middle = _centre_of(body)
    left, right, separated = _by_side(grid, lungs, middle)
    left, right = (closed(side, grid.spacing_mm, CLOSING_MM) for side in (left, right))
    right &= ~left
    notes = _notes(left | right, airways)
    return Lungs(_placed(left, box, whole), _placed(right, box, whole), notes, separated)


def _placed(part: BoolArray, box: Box, whole: BoolArray) -> BoolArray:
    placed = np.zeros_like(whole)
    placed[box] = part
    return placed


def _require_plausible(
    grid: WorkingGrid, lungs: list[tuple[Component, BoolArray]], pieces: list[tuple[Component, BoolArray]]
) -> None:
    volume_ml = sum(c.voxels for c, _ in lungs) * grid.voxel_ml
    if LUNG_ML[0] <= volume_ml <= LUNG_ML[1]:
        return
    if lungs:
        seen = f"the lung-like air inside the body measures {volume_ml:.0f} ml"
    elif pieces:
        component, piece = pieces[0]
        median = float(np.median(grid.hu[component.box][piece]))
        volume_ml = component.voxels * grid.voxel_ml
        seen = f"the largest air space inside the body is gas: {volume_ml:.0f} ml, median {median:.0f} HU"
    else:
        seen = "there is no air inside the body"
    raise UnsupportedError(
        f"no lungs found: {seen}, expected {LUNG_ML[0]:.0f} to {LUNG_ML[1]:.0f} ml between {GAS_HU} and {LUNG_HU} HU; "
        "attach a CT that shows the chest"
    )


def _centre_of(body: BoolArray) -> float:
    profile = np.count_nonzero(body, axis=(1, 2))
    return float(np.average(np.arange(len(profile)), weights=profile))


def _by_side(
    grid: WorkingGrid, lungs: list[tuple[Component, BoolArray]], middle: float
) -> tuple[BoolArray, BoolArray, bool]:
    """Put each piece to its side; the axis i of the working grid runs to the patient's Right."""
    left, right = np.zeros(grid.hu.shape, bool), np.zeros(grid.hu.shape, bool)
    separated = True
    for component, piece in lungs:
        columns = np.count_nonzero(piece, axis=(1, 2))
        share = columns[max(0, round(middle) - component.box[0].start) :].sum() / component.voxels
        if BOTH_SIDES < share < 1 - BOTH_SIDES:
            halves = part_in_two(piece, grid.spacing_mm)
            if halves is None:
                left[component.box] |= piece
                separated = False
            else:
                left[component.box] |= halves[0]
                right[component.box] |= halves[1]
        else:
            (right if share >= 0.5 else left)[component.box] |= piece
    return left, right, separated


def _notes(lungs: BoolArray, airways: BoolArray | None) -> tuple[str, ...]:
    notes = []
    if lungs[..., 0].any():
        notes.append("the lungs reach the lowest slice: what lies below is not measured")
    if lungs[..., -1].any():
        notes.append("the lungs reach the highest slice: what lies above is not measured")
    if airways is None:
        notes.append("no trachea was recognised, so large airways may be counted as lung")
    return tuple(notes)
