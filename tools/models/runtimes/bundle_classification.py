"""Bundles whose network scores a whole image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.errors import UnavailableError
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Progress
from tools.models.runtimes.monai_bundle import Bundle
from tools.results import LabelScore


class ClassificationBundle:
    """A bundle whose network gives one value a label; its postprocessing, which writes a table, is not needed."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._network = bundle.network

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels; see `ClassifyRuntime`."""
        import torch

        self.bundle.require(volume)
        progress(0.05, "preparing the image")
        image = self.bundle.prepare((volume,))[self.bundle.image_key]
        progress(0.3, "running the network")
        inputs = image.as_subclass(torch.Tensor)[None].to(self.bundle.device, torch.float32)
        with self.bundle.loading.inference():
            answer = self._network(inputs)
        logits = (answer[0] if isinstance(answer, tuple | list) else answer).float().reshape(-1).cpu()
        sigmoid = self.bundle.options.activation == "sigmoid"
        scores = torch.sigmoid(logits) if sigmoid else torch.softmax(logits, 0)
        return self._rows(scores.numpy().astype(np.float64), labels)

    def _rows(self, scores: NDArray[np.float64], labels: Sequence[str]) -> tuple[LabelScore, ...]:
        names = {place: name.strip().lower().replace(" ", "_") for place, name in self.bundle.channel_names().items()}
        if set(names) != set(range(len(scores))):
            raise UnavailableError(
                f"bundle {self.bundle.files.path.name!r} gives {len(scores)} scores, {len(names)} are named: "
                "its files do not belong together"
            )
        points = self.bundle.options.operating_points
        return tuple(
            LabelScore(label=names[place], score=float(score), operating_point=points.get(names[place]))
            for place, score in enumerate(scores)
            if not labels or names[place] in labels
        )
