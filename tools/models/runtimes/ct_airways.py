"""Trachea and main bronchi in a CT, so that they are not counted as lung."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import BoolArray
from tools.models.runtimes.ct_grid import WorkingGrid
from tools.models.runtimes.morphology import components

LUMEN_HU = -700
CROSS_SECTION_MM2 = (60.0, 800.0)
"""Tracheal lumen, with room for children and tracheomegaly: coronal diameter 10 to 25 mm, sagittal 10 to 27 mm in
adults (Breatnach, Abbott, Fraser: AJR 142 (1984) 903)."""
MAX_OFF_MIDLINE_MM = 45.0
MIN_TRACHEA_MM = 20.0
MAX_AIRWAYS_ML = 80.0  # more means that the growing leaked into lung
BRONCHUS_MM2 = 30.0
CARINA_MM = 5.0  # two lumens through this height are a branching, not noise
MAIN_BRONCHI_MM = 25.0
GROWTH_HU = (-880, -900, -920, -940, -960, -980)


def find_airways(grid: WorkingGrid, body: BoolArray) -> BoolArray | None:
    """Return the lumen of trachea and large bronchi, or None where no trachea is seen.

    A round, dark, central spot that continues through at least 20 mm is the trachea; from there darkness is followed
    at the highest threshold that does not leak into the lungs.

    Args:
        grid: a CT on the working grid.
        body: bool, axes of `grid.hu`, from `find_body`.
    """
    import cc3d

    seed = _trachea(grid, body)
    if seed is None:
        return None
    for threshold in GROWTH_HU:
        dark = np.asarray((grid.hu < threshold) & body)
        labels = cc3d.connected_components(dark, connectivity=6, binary_image=True)
        hits = np.bincount(labels[seed & dark])
        if len(hits) < 2:
            continue
        grown = np.asarray(labels == int(hits.argmax()))
        if grid.ml(grown) <= MAX_AIRWAYS_ML:
            return grown | seed
    return seed


def above_bronchi(grid: WorkingGrid, airways: BoolArray) -> BoolArray | None:
    """Cut airways 25 mm below the carina: trachea and main bronchi, what TotalSegmentator calls trachea.

    Args:
        grid: the working grid.
        airways: bool, axes of `grid.hu`, from `find_airways`.

    Returns:
        bool, axes of `grid.hu`; None where no carina is seen.
    """
    import cc3d

    least = max(1, round(BRONCHUS_MM2 / (grid.spacing_mm[0] * grid.spacing_mm[1])))
    branched = 0
    for k in range(airways.shape[2] - 1, -1, -1):
        labels = cc3d.connected_components(np.ascontiguousarray(airways[..., k]), connectivity=8, binary_image=True)
        branched = branched + 1 if np.count_nonzero(np.bincount(labels.ravel())[1:] >= least) >= 2 else 0
        if branched * grid.spacing_mm[2] >= CARINA_MM:
            cut = airways.copy()
            cut[..., : max(0, k + branched - round(MAIN_BRONCHI_MM / grid.spacing_mm[2]))] = False
            return cut
    return None


def _trachea(grid: WorkingGrid, body: BoolArray) -> BoolArray | None:
    """Return the longest chain of round dark spots in the upper half of the body's air."""
    dark = np.asarray((grid.hu < LUMEN_HU) & body)
    heights = np.flatnonzero(dark.any(axis=(0, 1)))
    if not heights.size:
        return None
    middle = _midline(body)
    weights = np.count_nonzero(dark, axis=(0, 1))
    centre = int(np.average(np.arange(len(weights)), weights=weights))
    spots = np.zeros_like(dark)
    for k in range(centre, dark.shape[2]):
        spots[..., k] = _round_spots(dark[..., k], middle, grid)
    labels, chains = components(spots)
    if not chains:
        return None
    longest = max(chains, key=lambda c: c.box[2].stop - c.box[2].start)
    if (longest.box[2].stop - longest.box[2].start) * grid.spacing_mm[2] < MIN_TRACHEA_MM:
        return None
    return np.asarray(labels == longest.label)


def _midline(body: BoolArray) -> float:
    columns = np.flatnonzero(body.any(axis=(1, 2)))
    return float(columns[0] + columns[-1]) / 2


def _round_spots(dark: BoolArray, middle: float, grid: WorkingGrid) -> BoolArray:
    """Keep the components of one axial slice that could be a cut through the trachea."""
    import cc3d

    labels: NDArray[Any] = cc3d.connected_components(np.ascontiguousarray(dark), connectivity=4, binary_image=True)
    found = cc3d.statistics(labels)
    step_i, step_j, _ = grid.spacing_mm
    kept = np.zeros(len(found["voxel_counts"]), bool)
    for label in range(1, len(kept)):
        area = float(found["voxel_counts"][label]) * step_i * step_j
        if not CROSS_SECTION_MM2[0] <= area <= CROSS_SECTION_MM2[1]:
            continue
        box_i, box_j = found["bounding_boxes"][label][:2]
        width, depth = (box_i.stop - box_i.start) * step_i, (box_j.stop - box_j.start) * step_j
        is_round = max(width, depth) <= 2 * min(width, depth) and area >= 0.55 * width * depth
        offset = abs(float(found["centroids"][label][0]) - middle) * step_i
        kept[label] = is_round and offset <= MAX_OFF_MIDLINE_MM
    return np.asarray(kept[labels])
