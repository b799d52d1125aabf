"""Does a model's result hold when the image gets a little worse, or is mirrored?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.errors import ToolError
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import ClassifyRuntime, Progress, SegmentRuntime, silent
from tools.quality.corruptions import SEVERITIES, amount, corrupted, kinds
from tools.results import StabilityRow
from tools.training.metrics import overlap

MILD = 2
"""Severities up to this one are what a careful scan may still look like; the uncertainty is taken from them."""
MIN_DICE = 0.9
"""Below this on a mild corruption the result is not held to be stable. Ours: between the repeatability of one reader
(0.9 to 0.95 for organs, TotalSegmentator, Wasserthal et al., Radiol Artif Intell 5 (2023) e230024) and less."""

Answer = Callable[[Volume], "Outcome"]


class Outcome(NamedTuple):
    """What a model says of one image: a mask, or a score."""

    mask: BoolArray | None = None
    score: float | None = None


class Uncertainty(NamedTuple):
    """How far a result moves under mild corruptions."""

    value: float
    """The result on the image itself: voxels inside, or the score."""
    sd: float
    """Standard deviation over the image and its mild corruptions, in the same unit."""


def segment_with(runtime: SegmentRuntime, target: str) -> Answer:
    """Return what asks a segmenter for one target."""

    def answer(volume: Volume) -> Outcome:
        return Outcome(mask=runtime.segment(volume, (target,), silent).masks[target])

    return answer


def classify_with(runtime: ClassifyRuntime, label: str) -> Answer:
    """Return what asks a classifier for one label."""

    def answer(volume: Volume) -> Outcome:
        return Outcome(score=runtime.classify(volume, (label,), silent)[0].score)

    return answer


def try_stability(
    answer: Answer, volume: Volume, seed: int, progress: Progress, *, mirror: bool
) -> tuple[list[StabilityRow], Uncertainty]:
    """Ask a model about an image and its worse copies.

    Args:
        answer: asks the model.
        volume: the image.
        seed: of what is drawn.
        progress: told how far it is; may raise to stop.
        mirror: whether the mirrored image must give the mirrored result; not so for targets that have a side.

    Returns:
        A row a corruption and severity, and how far the result moves under the mild ones.
    """
    clean = answer(volume)
    tried = [(kind, severity) for kind in kinds(volume.modality) for severity in SEVERITIES]
    rows: list[StabilityRow] = []
    mild = [_size(clean)]
    for number, (kind, severity) in enumerate(tried, start=1):
        progress(number / (len(tried) + 1), f"{kind}: severity {severity} of {len(SEVERITIES)}")
        worse = _asked(answer, corrupted(volume, kind, severity, seed + number))
        rows.append(_row(kind, severity, amount(volume.modality, kind, severity), clean, worse))
        if severity <= MILD and worse is not None:
            mild.append(_size(worse))
    if mirror:
        progress(1.0, "mirrored")
        rows.append(_row("mirrored", 1, 1.0, clean, _mirrored(answer, volume)))
    return rows, Uncertainty(_size(clean), float(np.std(mild, ddof=1)) if len(mild) > 1 else float("nan"))


def unstable(rows: Sequence[StabilityRow], operating_point: float | None) -> list[StabilityRow]:
    """Return the mild corruptions under which the result does not hold: another mask, or across the operating point."""
    found = []
    for row in rows:
        if row.severity > MILD:
            continue
        if row.score is not None and operating_point is not None and row.clean_score is not None:
            if (row.score >= operating_point) != (row.clean_score >= operating_point):
                found.append(row)
        elif row.agreement is None or (row.score is None and row.agreement < MIN_DICE):
            found.append(row)
    return found


def _asked(answer: Answer, volume: Volume) -> Outcome | None:
    """Return the answer, or None where the model itself refuses the worse image."""
    try:
        return answer(volume)
    except ToolError:
        return None


def _mirrored(answer: Answer, volume: Volume) -> Outcome | None:
    axis = _side_axis(volume)
    found = _asked(answer, volume.with_array(np.flip(volume.array, axis)))
    if found is None or found.mask is None:
        return found
    return Outcome(mask=np.flip(found.mask, axis))


def _side_axis(volume: Volume) -> int:
    """Return the axis that runs from one side of the patient to the other; the first where the image does not say."""
    steps: NDArray[np.float64] = np.abs(volume.affine_ras[0, :3])
    return int(np.argmax(steps)) if volume.orientation_known else 0


def _row(kind: str, severity: int, how_much: float, clean: Outcome, worse: Outcome | None) -> StabilityRow:
    agreement = None
    if worse is not None and clean.mask is not None and worse.mask is not None:
        both = overlap(worse.mask, clean.mask)
        agreement = both.dice if both.total else 1.0
    elif worse is not None and clean.score is not None and worse.score is not None:
        agreement = 1 - abs(worse.score - clean.score)
    return StabilityRow(
        corruption=kind,
        severity=severity,
        amount=how_much,
        agreement=None if agreement is None else round(agreement, 4),
        clean_score=clean.score,
        score=None if worse is None else worse.score,
    )


def _size(outcome: Outcome) -> float:
    if outcome.mask is not None:
        return float(np.count_nonzero(outcome.mask))
    return float(outcome.score or 0.0)
