"""Bundles with a RetinaNet detector of MONAI: boxes in the image's own voxels."""

from __future__ import annotations

import warnings
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.free_memory import require_memory
from tools.imaging.geometry import FloatArray, world_to_voxel
from tools.imaging.volume import Volume
from tools.models.inference import resampled_voxels
from tools.models.runtimes.base import FoundBox, Progress
from tools.models.runtimes.monai_bundle import Bundle, require_scan

if TYPE_CHECKING:
    from torch import Tensor

OPERATING_POINT = 0.5
"""Where a card gives none: the score at which a sigmoid says yes rather than no."""


class DetectionBundle:
    """A bundle whose configuration has a `detector` around its network.

    The bundle's own code for the inferer and the result file is not run: whether a sliding window is needed is decided
    here as there, by the size of the image, and boxes are brought to the image's voxels instead of a world.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        detector = bundle.config.get("detector")
        bundle.config.get("detector_ops")
        detector.network = bundle.network
        self._detector = detector.eval()
        self.operating_point = operating_point(bundle)

    def detect(self, volume: Volume, target: str, progress: Progress) -> tuple[FoundBox, ...]:
        """Find boxes; see `DetectRuntime`."""
        require_scan(volume)
        # the image, padded, and a feature map of 64 channels at a quarter of its length, twice
        voxels = resampled_voxels(volume.shape, volume.spacing_mm, self.bundle.spacing_mm())
        require_memory(4 * voxels * (4 + 2 * 64 / 16), self.bundle.card.title)
        progress(0.05, "preparing the image")
        image = self.bundle.prepare((volume,))[self.bundle.image_key]
        progress(0.15, "running the detector")
        found = self._run(image)
        progress(0.95, "bringing boxes back to the image")
        boxes = self._boxes(found, np.asarray(image.affine, np.float64), volume, target)
        return tuple(sorted(boxes, key=lambda box: -(box.score or 0.0)))

    def _run(self, image: Any) -> dict[str, Tensor]:
        import torch

        inputs = image.as_subclass(torch.Tensor).to(self.bundle.device)
        window = getattr(self._detector.inferer, "roi_size", None)
        large = window is not None and inputs[0].numel() >= int(np.prod(window))
        sliding = bool(self._entry("force_sliding_window", default=False)) or large
        with self.bundle.loading.inference(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MONAI calls numpy on tensors in a way that numpy will drop
            found: dict[str, Tensor] = self._detector([inputs], use_inferer=sliding)[0]
        return found

    def _entry(self, name: str, *, default: object) -> Any:
        return self.bundle.config.get(name) if name in self.bundle.config else default

    def _boxes(self, found: dict[str, Tensor], affine_ras: FloatArray, volume: Volume, target: str) -> list[FoundBox]:
        detector = self._detector
        boxes = found[detector.target_box_key].float().cpu().numpy()
        labels = found[detector.target_label_key].cpu().numpy()
        scores = found[detector.pred_score_key].float().cpu().numpy()
        wanted = self.bundle.options.labels.get(target)
        kept = []
        for box, label, score in zip(boxes, labels, scores, strict=True):
            if score >= self.operating_point and (wanted is None or int(label) in wanted):
                lower, upper = _native(box, affine_ras, volume)
                if lower is not None and upper is not None:
                    kept.append(FoundBox(target, lower, upper, float(score)))
        return kept


def operating_point(bundle: Bundle) -> float:
    """Return the score from which a box counts: the card's own, or 0.5."""
    return bundle.options.operating_point if bundle.options.operating_point is not None else OPERATING_POINT


def _native(box: FloatArray, affine_ras: FloatArray, volume: Volume) -> tuple[Any, Any]:
    """Return the lower and upper voxel corner of a box (x0, y0, z0, x1, y1, z1) on another grid, or (None, None).

    The eight corners go through the world, and the box around them on the image's own axes is taken, cut to the image.
    """
    corners = np.array(list(product(*zip(box[:3], box[3:], strict=True))), np.float64)
    world = corners @ affine_ras[:3, :3].T + affine_ras[:3, 3]
    voxels = world_to_voxel(volume, world)
    last = np.array(volume.shape, np.float64) - 1
    lower, upper = np.clip(voxels.min(0), 0, last), np.clip(voxels.max(0), 0, last)
    if (upper <= lower).all():
        return None, None
    return tuple(float(n) for n in lower), tuple(float(n) for n in upper)
