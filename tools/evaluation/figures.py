"""Figures of scores against truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]

BINS = 10


class Bin(NamedTuple):
    """Cases whose scores lie near each other."""

    mean_score: float
    share_positive: float
    n: int


def calibration_bins(scores: Scores, truth: Truth) -> list[Bin]:
    """Return the reliability diagram in ten bins of equal width; empty bins are left out."""
    where = np.minimum((scores * BINS).astype(int), BINS - 1)
    return [
        Bin(float(scores[where == b].mean()), float(truth[where == b].mean()), int(np.count_nonzero(where == b)))
        for b in range(BINS)
        if (where == b).any()
    ]


def calibration_error(scores: Scores, truth: Truth) -> float:
    """Return the expected calibration error, 0 (scores are frequencies) to 1.

    Source: Guo et al., ICML 2017.
    """
    return float(sum(b.n * abs(b.mean_score - b.share_positive) for b in calibration_bins(scores, truth)) / len(scores))


def brier(scores: Scores, truth: Truth) -> float:
    """Return the mean squared difference of score and truth.

    Source: Brier, Mon Weather Rev 78 (1950) 1.
    """
    return float(np.mean((scores - truth) ** 2))
