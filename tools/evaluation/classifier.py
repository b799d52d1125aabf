"""A classifier on a folder of labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tools.evaluation.figures import Bin, Scores, Truth, brier, calibration_bins, calibration_error
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import ClassifyRuntime, Progress, silent
from tools.quality.corruptions import SEVERITIES, corrupted, kinds
from tools.training.classification import LabelledImage
from tools.training.metrics import Interval, auc, paired_interval

CENTRE_SHARE = 0.6
"""Sides of the middle region that the shortcut check hides, or keeps: most of the anatomy, none of the rim."""
SHORTCUT_AUC = 0.7
"""With the middle hidden, an AUC from here on says that the model reads something else than the anatomy. Ours."""


class Group(NamedTuple):
    """One subgroup of the images."""

    name: str
    figure: Interval


@dataclass(frozen=True)
class LabelReport:
    """How well one label is told from the others."""

    label: str
    auc: Interval
    sensitivity: float | None
    """At the card's operating point; None where it gives none."""
    specificity: float | None
    calibration_error: float
    brier: float
    bins: tuple[Bin, ...]
    by_severity: Mapping[str, tuple[float, ...]]
    """AUC per corruption at severities 1 to 5."""
    groups: tuple[Group, ...]
    auc_middle_hidden: float
    auc_rim_hidden: float

    @property
    def takes_a_shortcut(self) -> bool:
        """Whether the label is told well with the anatomy hidden."""
        return self.auc_middle_hidden >= SHORTCUT_AUC


@dataclass(frozen=True)
class Evaluated:
    """Every label's report, with the scores that a calibration is made from."""

    reports: tuple[LabelReport, ...]
    scores: Mapping[str, Scores]
    truth: Mapping[str, Truth]


def evaluate_classifier(
    runtime: ClassifyRuntime,
    images: Sequence[LabelledImage],
    groups: Mapping[str, Sequence[str]],
    seed: int,
    progress: Progress,
) -> Evaluated:
    """Score images, worse copies of them, and copies with middle or rim hidden.

    Args:
        runtime: the model.
        images: each with the one label that applies.
        groups: per attribute (site, sex, …), the value of each image.
        seed: of what is drawn.
        progress: told how far it is; may raise to stop.
    """
    volumes = [i.volume for i in images]
    run = _Run(runtime, progress, 2 + len(kinds(volumes[0].modality)) * len(SEVERITIES) + 1)
    clean = run.scores(volumes, "as they are")
    known = [label for label in sorted({i.label for i in images}) if label in clean]
    truth = {label: np.array([i.label == label for i in images]) for label in known}
    worse = {
        kind: [
            run.scores([corrupted(v, kind, s, seed + n) for n, v in enumerate(volumes)], f"{kind}, severity {s}")
            for s in SEVERITIES
        ]
        for kind in kinds(volumes[0].modality)
    }
    no_middle = run.scores([_hidden(v, _middle(v)) for v in volumes], "middle hidden")
    no_rim = run.scores([_hidden(v, ~_middle(v)) for v in volumes], "rim hidden")
    reports = []
    for label in known:
        at = clean[label]
        sensitivity, specificity = _at_point(at, truth[label], run.points.get(label))
        reports.append(
            LabelReport(
                label=label,
                auc=paired_interval(at, truth[label], auc, seed),
                sensitivity=sensitivity,
                specificity=specificity,
                calibration_error=calibration_error(at, truth[label]),
                brier=brier(at, truth[label]),
                bins=tuple(calibration_bins(at, truth[label])),
                by_severity={k: tuple(auc(s[label], truth[label]) for s in rows) for k, rows in worse.items()},
                groups=tuple(_groups(at, truth[label], groups, seed)),
                auc_middle_hidden=auc(no_middle[label], truth[label]),
                auc_rim_hidden=auc(no_rim[label], truth[label]),
            )
        )
    return Evaluated(tuple(reports), {k: clean[k] for k in known}, truth)


class _Run:
    """Asks the model about many images, and tells how far it is."""

    def __init__(self, runtime: ClassifyRuntime, progress: Progress, rounds: int) -> None:
        self._runtime, self._progress, self._rounds = runtime, progress, rounds
        self._done = 0
        self.points: dict[str, float | None] = {}

    def scores(self, volumes: Sequence[Volume], what: str) -> dict[str, Scores]:
        """Return the scores of every label over the images."""
        found: dict[str, list[float]] = {}
        for number, volume in enumerate(volumes):
            self._progress((self._done + number / len(volumes)) / self._rounds, what)
            for row in self._runtime.classify(volume, (), silent):
                found.setdefault(row.label, []).append(row.score)
                self.points[row.label] = row.operating_point
        self._done += 1
        return {label: np.array(values, dtype=np.float64) for label, values in found.items()}


def _at_point(scores: Scores, truth: Truth, point: float | None) -> tuple[float | None, float | None]:
    if point is None:
        return None, None
    above = scores >= point
    return float(np.mean(above[truth])), float(np.mean(~above[~truth]))


def _groups(scores: Scores, truth: Truth, groups: Mapping[str, Sequence[str]], seed: int) -> list[Group]:
    found = []
    for attribute, values in groups.items():
        given = np.array(values)
        for value in sorted(set(values)):
            rows = given == value
            figure = Interval(float("nan"), float("nan"), float("nan"), int(rows.sum()))
            if truth[rows].any() and not truth[rows].all():
                figure = paired_interval(scores[rows], truth[rows], auc, seed)
            found.append(Group(f"{attribute} {value}", figure))
    return found


def _middle(volume: Volume) -> BoolArray:
    """Return the middle of a picture: bool (i, j, k)."""
    inside = np.zeros(volume.shape, bool)
    i, j = (round(n * (1 - CENTRE_SHARE) / 2) for n in volume.shape[:2])
    inside[i : volume.shape[0] - i, j : volume.shape[1] - j] = True
    return inside


def _hidden(volume: Volume, region: BoolArray) -> Volume:
    """Replace a region by the image's mean."""
    array = np.array(volume.array)
    array[region] = array.mean(axis=(0, 1, 2) if volume.is_colour else None).astype(array.dtype)
    return volume.with_array(array)
