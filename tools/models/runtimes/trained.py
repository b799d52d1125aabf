"""Networks that `train` made from a person's own labels: a U-Net on slices, and a classifier of single images."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError
from tools.imaging.volume import AnyArray, Volume
from tools.models.runtimes.base import Attention, Loading, Options, Progress, Segmentation
from tools.results import LabelScore
from tools.training.pictures import PictureOptions, picture_of
from tools.training.slices import SliceOptions, stack_of, to_image

if TYPE_CHECKING:
    from torch.nn import Module

THRESHOLD = 0.5
SLICES_AT_ONCE = 16


class SegmenterOptions(Options):
    """What a card of a trained segmenter says."""

    slices: SliceOptions


class ClassifierOptions(Options):
    """What a card of a trained classifier says."""

    picture: PictureOptions
    labels: tuple[str, ...]
    """In the order of the network's outputs."""
    operating_points: tuple[float, ...]
    """Per label: the score from which it counts as present, set on images that were not learned from."""


class TrainedSegmenter:
    """One target, outlined slice by slice."""

    def __init__(self, network: Module, options: SliceOptions, device: str) -> None:
        self._network = network
        self._options = options
        self._device = device
        self._lock = threading.Lock()

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline the target; see `SegmentRuntime`."""
        mask = np.asarray(self.probability(volume, progress) >= THRESHOLD)
        return Segmentation(dict.fromkeys(targets, mask))

    def probability(self, volume: Volume, progress: Progress) -> AnyArray:
        """Return how likely each voxel belongs to the target, float32 (i, j, k) on the image's grid."""
        from tools.training.segmentation import predict

        stack = stack_of(volume, self._options).array
        parts = []
        for start in range(0, len(stack), SLICES_AT_ONCE):
            progress(0.05 + 0.85 * start / len(stack), f"slice {start + 1} of {len(stack)}")
            numbers = np.arange(start, min(start + SLICES_AT_ONCE, len(stack)))
            with self._lock:
                parts.append(predict(self._network, stack, numbers, self._options, self._device))
        return to_image(np.concatenate(parts), volume, self._options)


class TrainedClassifier:
    """Scores of one image."""

    def __init__(self, network: Module, options: ClassifierOptions, device: str) -> None:
        self._network = network
        self._options = options
        self._device = device
        self._lock = threading.Lock()

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels; see `ClassifyRuntime`."""
        import torch

        known = self._options.labels
        if strangers := [label for label in labels if label not in known]:
            raise BadInputError(f"labels: this model knows {', '.join(known)}, got {', '.join(strangers)}")
        progress(0.2, "looking at the image")
        seen = torch.from_numpy(picture_of(volume, self._options.picture)[None, None]).to(self._device)
        with self._lock, torch.inference_mode():
            scores = torch.softmax(self._network(seen), dim=1)[0].float().cpu().tolist()
        rows = zip(known, scores, self._options.operating_points, strict=True)
        return tuple(
            LabelScore(label=label, score=score, operating_point=point)
            for label, score, point in rows
            if not labels or label in labels
        )

    def attention(self, volume: Volume, label: str) -> Attention:
        """Return what explaining a score needs; see `ExplainRuntime`."""
        import torch

        from tools.training.pictures import map_to_image

        options = self._options.picture
        seen = torch.from_numpy(picture_of(volume, options)[None, None]).to(self._device)
        return Attention(
            network=self._network,
            inputs=seen,
            index=self._options.labels.index(label),
            layer="features",
            to_image=lambda found: map_to_image(found, volume, options),
        )


def load_segmenter(loading: Loading) -> TrainedSegmenter:
    """Load a trained segmenter from its state dict."""
    from tools.training.segmentation import make_network

    options = loading.options(SegmenterOptions).slices
    network = make_network(options.channels)
    _load_state(network, loading)
    return TrainedSegmenter(network.to(loading.device).eval(), options, loading.device)


def load_classifier(loading: Loading) -> TrainedClassifier:
    """Load a trained classifier from its state dict."""
    from tools.training.classification import make_network

    options = loading.options(ClassifierOptions)
    network = make_network(len(options.labels))
    _load_state(network, loading)
    return TrainedClassifier(network.to(loading.device).eval(), options, loading.device)


def _load_state(network: Module, loading: Loading) -> None:
    import torch

    path = _only(loading.weights)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError) as error:
        problem = str(error).splitlines()[0]
        raise UnavailableError(
            f"weights {path.name!r} of model {loading.card.name!r} do not fit its network ({problem}); train it again"
        ) from error


def _only(weights: Mapping[str, Path]) -> Path:
    (path,) = weights.values()
    return path
