"""A segmenter on a folder of images with masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.evaluation.classifier import Group
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Progress, SegmentRuntime, silent
from tools.quality.corruptions import SEVERITIES, corrupted, kinds
from tools.training.metrics import Interval, mean_interval, overlap
from tools.training.segmentation import Example


@dataclass(frozen=True)
class SegmenterReport:
    """How well a target is outlined."""

    target: str
    dice: Interval
    by_image: Mapping[str, float]
    """Dice per image."""
    by_severity: Mapping[str, tuple[float, ...]]
    """Mean Dice per corruption at severities 1 to 5."""
    groups: tuple[Group, ...]


def evaluate_segmenter(
    runtime: SegmentRuntime,
    target: str,
    examples: Sequence[Example],
    groups: Mapping[str, Sequence[str]],
    progress: Progress,
    *,
    seed: int,
) -> SegmenterReport:
    """Outline images and worse copies of them; for the arguments see `evaluate_classifier`."""
    names = kinds(examples[0].volume.modality)
    rounds = len(names) * len(SEVERITIES) + 1
    done = 0

    def dices(volumes: Sequence[Volume], what: str) -> list[float]:
        nonlocal done
        found = []
        for number, (volume, example) in enumerate(zip(volumes, examples, strict=True)):
            progress((done + number / len(volumes)) / rounds, what)
            mask = runtime.segment(volume, (target,), silent).masks[target]
            found.append(overlap(mask, example.mask).dice)
        done += 1
        return found

    volumes = [e.volume for e in examples]
    clean = dices(volumes, "as they are")
    worse = {
        kind: tuple(
            float(np.mean(dices([corrupted(v, kind, s, seed + n) for n, v in enumerate(volumes)], f"{kind}, {s}")))
            for s in SEVERITIES
        )
        for kind in names
    }
    return SegmenterReport(
        target=target,
        dice=mean_interval(clean, seed),
        by_image={e.name: d for e, d in zip(examples, clean, strict=True)},
        by_severity=worse,
        groups=tuple(_groups(clean, groups, seed)),
    )


def _groups(clean: Sequence[float], groups: Mapping[str, Sequence[str]], seed: int) -> list[Group]:
    return [
        Group(
            f"{attribute} {value}",
            mean_interval([d for d, v in zip(clean, values, strict=True) if v == value], seed),
        )
        for attribute, values in groups.items()
        for value in sorted(set(values))
    ]
