"""Trains a small classifier of single images from examples with one label each, and judges it on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Progress
from tools.training.metrics import Interval, auc, paired_interval
from tools.training.pictures import Picture, PictureOptions, picture_of
from tools.training.run import RunSettings, Watch, begin

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.nn import Module

MIN_PER_LABEL = 5  # three to learn from, one to set the operating point on, one to be judged on
SHARES = (0.6, 0.2)
"""Learned from, and used to set operating points; the rest is judged on."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class LabelledImage:
    """An image and its one label."""

    name: str
    volume: Volume
    label: str


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(RunSettings):
    """How to train a classifier."""

    epochs: int = 20
    batch: int = 16
    learning_rate: float = 3e-3
    side_px: int = 128


class LabelResult(NamedTuple):
    """How well one label is told from the others, on images that were not learned from."""

    label: str
    auc: Interval
    operating_point: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class TrainedClassifier:
    """A network and how it did on what was held out."""

    network: dict[str, Any]
    """State dict of `make_network`."""
    picture: PictureOptions
    results: tuple[LabelResult, ...]
    trained_on: int
    judged_on: int
    history: tuple[float, ...]


def make_network(labels: int) -> Module:
    """Return the untrained network: one picture in, one logit a label out."""
    from monai.networks.nets import DenseNet

    network: Module = DenseNet(
        spatial_dims=2, in_channels=1, out_channels=labels, init_features=16, growth_rate=8, block_config=(2, 4, 4)
    )
    return network


def train_classifier(
    images: Sequence[LabelledImage], settings: ClassifierSettings, progress: Progress, state_file: Path
) -> TrainedClassifier:
    """Train on three fifths of the images, set operating points on one fifth, judge on the rest.

    Args:
        images: with their labels.
        settings: how.
        progress: told the epoch; may raise to stop, and a later call with the same images goes on.
        state_file: where the state is kept between epochs.

    Raises:
        BadInputError: one label only, or too few images of one.
    """
    labels = _labels(images)
    picture = PictureOptions(side_px=settings.side_px)
    seen = np.stack([picture_of(i.volume, picture) for i in images])
    truth = np.array([labels.index(i.label) for i in images])
    train, tune, test = _split(truth, settings.seed)
    network, history = _fit((seen[train], truth[train]), len(labels), settings, Watch(progress, state_file))
    progress(0.95, "judging on what was held out")
    tuned, judged = (_scores(network, seen[rows], settings.device) for rows in (tune, test))
    results = tuple(
        _result(label, number, (tuned, truth[tune]), (judged, truth[test]), settings.seed)
        for number, label in enumerate(labels)
    )
    return TrainedClassifier(
        network={name: value.detach().cpu() for name, value in network.state_dict().items()},
        picture=picture,
        results=results,
        trained_on=len(train),
        judged_on=len(test),
        history=tuple(history),
    )


def _labels(images: Sequence[LabelledImage]) -> list[str]:
    labels = sorted({i.label for i in images})
    if len(labels) < 2:
        found = f"only {labels[0]!r}" if labels else "none"
        raise BadInputError(f"examples: at least two labels are needed to tell apart, got {found}")
    for label in labels:
        count = sum(i.label == label for i in images)
        if count < MIN_PER_LABEL:
            raise BadInputError(f"examples: {label!r} has {count} images; at least {MIN_PER_LABEL} are needed")
    return labels


def _split(truth: Rows, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return rows to learn from, to set operating points on and to judge on; each label in each of them."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(truth):
        rows = rng.permutation(np.flatnonzero(truth == label)).tolist()
        tune, test = max(1, round(SHARES[1] * len(rows))), max(1, round((1 - sum(SHARES)) * len(rows)))
        parts[1].extend(rows[:tune])
        parts[2].extend(rows[tune : tune + test])
        parts[0].extend(rows[tune + test :])
    train, tuned, judged = (np.sort(np.array(p, dtype=np.int64)) for p in parts)
    return train, tuned, judged


def _fit(
    given: tuple[Picture, Rows], labels: int, settings: ClassifierSettings, watch: Watch
) -> tuple[Module, list[float]]:
    import torch
    from torch.nn.functional import cross_entropy

    seen, truth = given
    run = begin(lambda: make_network(labels), settings, watch, asdict(settings), [seen, truth])
    network, generator = run.network, run.generator
    counts = np.bincount(truth, minlength=labels)
    weight = torch.tensor(len(truth) / (labels * counts), dtype=torch.float32, device=settings.device)
    images, wanted = torch.from_numpy(seen)[:, None], torch.from_numpy(truth)
    network.train()
    for epoch in range(len(run.history), settings.epochs):
        losses = []
        order = torch.randperm(len(wanted), generator=generator)
        for start in range(0, len(order), settings.batch):
            rows = order[start : start + settings.batch]
            watch.progress(0.05 + 0.9 * epoch / settings.epochs, f"epoch {epoch + 1} of {settings.epochs}")
            if len(rows) < 2:
                continue  # batch normalisation needs two
            logits = network(_varied(images[rows], generator).to(settings.device))
            loss = cross_entropy(logits, wanted[rows].to(settings.device), weight=weight)
            run.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            run.optimiser.step()
            losses.append(float(loss.detach()))
        run.history.append(float(np.mean(losses)))
        run.keep()
    return network, run.history


def _varied(batch: Tensor, generator: Generator) -> Tensor:
    """Shift a batch by up to a sixteenth and change its brightness; never mirrored, since sides differ."""
    import torch

    reach = batch.shape[-1] // 16
    shifts = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    gain = 0.9 + 0.2 * torch.rand(len(batch), 1, 1, 1, generator=generator)
    return torch.roll(batch, shifts, dims=(2, 3)) * gain


def _scores(network: Module, seen: Picture, device: str) -> NDArray[np.float64]:
    import torch

    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(seen), 32):
            batch = torch.from_numpy(seen[start : start + 32])[:, None].to(device)
            parts.append(torch.softmax(network(batch), dim=1).double().cpu().numpy())
    return np.concatenate(parts)


def _result(label: str, number: int, tuned: tuple[Any, Rows], judged: tuple[Any, Rows], seed: int) -> LabelResult:
    point = _operating_point(tuned[0][:, number], tuned[1] == number)
    scores, truth = judged[0][:, number], judged[1] == number
    above = scores >= point
    return LabelResult(
        label=label,
        auc=paired_interval(scores, truth, auc, seed),
        operating_point=point,
        sensitivity=float(np.mean(above[truth])),
        specificity=float(np.mean(~above[~truth])),
    )


def _operating_point(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the score that best parts the classes, half way to the next lower one.

    Source: Youden, Cancer 3 (1950) 32: sensitivity + specificity − 1 is largest.
    """
    ranked = np.unique(scores)
    gain = [float(np.mean(scores[truth] >= s) + np.mean(scores[~truth] < s)) for s in ranked]
    best = int(np.argmax(gain))
    below = ranked[best - 1] if best else 0.0
    return float((ranked[best] + below) / 2)
