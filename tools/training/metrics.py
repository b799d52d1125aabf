"""How good a trained model is on what it did not learn from, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import BoolArray

RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int
    """Units that were resampled: images or slices."""


class Overlap(NamedTuple):
    """How two masks meet, in pixels."""

    both: int
    total: int
    """Of one mask and the other, added."""

    @property
    def dice(self) -> float:
        """Dice, 0 to 1; NaN where neither holds a pixel."""
        return 2 * self.both / self.total if self.total else float("nan")


def overlap(found: BoolArray, true: BoolArray) -> Overlap:
    """Return how two masks meet."""
    return Overlap(int(np.count_nonzero(found & true)), int(np.count_nonzero(found)) + int(np.count_nonzero(true)))


def mean_interval(values: Sequence[float], seed: int) -> Interval:
    """Return the mean of values with its percentile bootstrap interval; values that are NaN could not be scored.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    kept = np.array([v for v in values if not np.isnan(v)], dtype=np.float64)
    return _interval(len(kept), lambda rows: float(kept[rows].mean()), seed)


def pooled_dice_interval(overlaps: Sequence[Overlap], seed: int) -> Interval:
    """Return Dice over all slices together with the interval of drawing slices anew.

    A slice at the target's end holds few pixels; taken by itself its Dice is mostly chance.
    """
    both = np.array([o.both for o in overlaps], dtype=np.float64)
    total = np.array([o.total for o in overlaps], dtype=np.float64)

    def dice_of(rows: NDArray[np.int64]) -> float:
        summed = float(total[rows].sum())
        return 2 * float(both[rows].sum()) / summed if summed else float("nan")

    return _interval(len(both), dice_of, seed)


def paired_interval(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    figure: Callable[[NDArray[np.float64], NDArray[np.bool_]], float],
    seed: int,
) -> Interval:
    """Return a figure of scores against labels with its bootstrap interval; cases are resampled within each class."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(g, size=len(g)) for g in groups if len(g)])
        drawn.append(figure(scores[rows], labels[rows]))
    low, high = np.nanquantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(figure(scores, labels), float(low), float(high), len(scores))


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative; NaN with one class."""
    from scipy.stats import rankdata

    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _interval(count: int, figure: Callable[[NDArray[np.int64]], float], seed: int) -> Interval:
    if not count:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    draws = np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))
    low, high = np.nanquantile([figure(rows) for rows in draws], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(figure(np.arange(count)), float(low), float(high), count)
