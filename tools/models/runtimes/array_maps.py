"""What networks that are one file give per pixel or voxel: outlines of pictures, and landmarks from heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tools.models.runtimes.base import FoundPoint

FloatArray = NDArray[np.float32]
SIGMOID_CUT = 0.5
"""Of a channel's score: where a pixel belongs to it, when several may apply."""


def outlines(scores: FloatArray, shape: Sequence[int], *, several: bool) -> NDArray[np.bool_]:
    """Return a network's map of a picture on the picture's own pixels: bool (outputs, columns, rows).

    Args:
        scores: (outputs, rows, columns) of the network.
        shape: columns and rows of the picture.
        several: whether a pixel may belong to several outputs, each above one half; else to the largest alone.
    """
    from skimage.transform import resize

    wanted = (scores.shape[0], int(shape[1]), int(shape[0]))
    grown = np.asarray(resize(scores, wanted, order=1, mode="edge", preserve_range=True), np.float32)
    chosen = grown > SIGMOID_CUT if several else grown.argmax(0)[None] == np.arange(len(grown))[:, None, None]
    return np.ascontiguousarray(np.asarray(chosen).swapaxes(1, 2))


def peaks(maps: FloatArray, names: Sequence[str], floors: Mapping[str, float]) -> list[FoundPoint]:
    """Return the highest place of each heat map, between the voxels; one whose height is below its floor is left out.

    Args:
        maps: (outputs, *grid).
        names: of the outputs; an empty one has no meaning.
        floors: least height, by name.

    Returns:
        Points whose `voxel` is a position on the maps' grid, a third axis being 0 for pictures.
    """
    found = []
    for heat, name in zip(maps, names, strict=True):
        height = float(heat.max())
        if not name or not np.isfinite(height) or height < floors.get(name, -np.inf):
            continue
        top = np.array(np.unravel_index(int(heat.argmax()), heat.shape))
        around = tuple(slice(max(0, n - 1), n + 2) for n in top)
        weights = heat[around] - heat[around].min()
        grids = np.meshgrid(
            *(np.arange(s.start, s.start + n) for s, n in zip(around, weights.shape, strict=True)), indexing="ij"
        )
        total = float(weights.sum())
        place = [float((g * weights).sum() / total) if total > 0 else float(t) for g, t in zip(grids, top, strict=True)]
        i, j, k = (*place, 0.0)[:3]
        found.append(FoundPoint(name, (i, j, k), height if 0 <= height <= 1 else None))
    return found
