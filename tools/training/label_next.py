"""What to label next: slices on which the model is unsure, no two of them alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.training.slices import FloatStack

UNSURE_POOL = 4  # of this many times as many slices, the most unsure, those least alike are taken
THUMBNAIL = 16


def entropy_bits(probability: FloatStack) -> NDArray[np.float64]:
    """Return each slice's mean entropy per pixel, in bits.

    Args:
        probability: float32 (slices, rows, columns), 0 to 1.
    """
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray((-(p * np.log2(p) + (1 - p) * np.log2(1 - p))).mean(axis=(1, 2)))


def choose_next(uncertainty: NDArray[np.float64], thumbnails: NDArray[np.float32], count: int) -> list[int]:
    """Return the slices to label, the most unsure first, then those farthest from what is chosen.

    Args:
        uncertainty: one value a slice.
        thumbnails: (slices, features), what slices are compared by.
        count: how many.

    Source: greedy k-centre, Sener and Savarese, ICLR 2018, among the most uncertain.
    """
    pool = np.argsort(-uncertainty, kind="stable")[: UNSURE_POOL * count]
    if not len(pool):
        return []
    chosen = [int(pool[0])]
    while len(chosen) < min(count, len(pool)):
        gaps = np.linalg.norm(thumbnails[pool][:, None] - thumbnails[chosen][None], axis=2).min(axis=1)
        gaps[np.isin(pool, chosen)] = -1
        chosen.append(int(pool[int(np.argmax(gaps))]))
    return chosen


def thumbnails_of(stacks: Sequence[FloatStack]) -> NDArray[np.float32]:
    """Return slices shrunk to vectors, to compare them by."""
    import torch
    from torch.nn.functional import interpolate

    small = [
        interpolate(torch.from_numpy(s)[:, None], size=(THUMBNAIL, THUMBNAIL), mode="area").flatten(1) for s in stacks
    ]
    return np.asarray(torch.cat(small).numpy(), dtype=np.float32)
