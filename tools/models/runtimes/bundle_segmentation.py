"""Bundles whose network gives a label map, or a channel per structure: volumes, slices of a volume, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.free_memory import require_memory
from tools.imaging.anatomy import members_of
from tools.imaging.volume import BoolArray, Volume
from tools.models.inference import SlidingWindow, resampled_voxels
from tools.models.runtimes.base import Progress, Segmentation
from tools.models.runtimes.monai_bundle import Bundle, label_values, on_grid

if TYPE_CHECKING:
    from torch import Tensor


class SegmentationBundle:
    """A bundle whose network gives a label map, or a channel per structure."""

    def __init__(self, bundle: Bundle, window: SlidingWindow | None = None) -> None:
        self.bundle = bundle
        self.saving = window.saving if window else ""
        self._window = window or _window_of(bundle)
        self._network = _network_of(bundle)
        self._labels = label_values(bundle)

    def smaller(self) -> SegmentationBundle | None:
        """Return a form with fewer or smaller patches; see `Smaller`."""
        window = self._window.smaller()
        return None if window is None else SegmentationBundle(self.bundle, window)

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets; see `SegmentRuntime`."""
        return self.segment_series((volume,), targets, progress)

    def segment_series(self, volumes: Sequence[Volume], targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in aligned series, in the order of the card."""
        wanted = self.bundle.card.series
        if len(volumes) != max(1, len(wanted)):
            named = f" ({', '.join(wanted)})" if wanted else ""
            raise BadInputError(
                f"series: {max(1, len(wanted))} aligned images of one examination{named} are needed, got {len(volumes)}"
            )
        for volume in volumes:
            self.bundle.require(volume)
            if not volume.same_grid(volumes[0]):
                raise BadInputError("series: all must lie on one grid; register and resample them first")
        self._require_memory(volumes[0])
        progress(0.02, "preparing the image")
        data = self.bundle.prepare(volumes)
        data["pred"] = self._predicted(data[self.bundle.image_key], progress)
        progress(0.85, "bringing the result back to the image")
        found = self.bundle.finish(data)["pred"]
        values = on_grid(found, volumes[0])
        return Segmentation({target: self._mask(values, target) for target in targets})

    def _require_memory(self, volume: Volume) -> None:
        classes = max(len(self.bundle.channel_names()), 2)
        spacing_mm = None if self.bundle.is_flat else self.bundle.spacing_mm()
        voxels = resampled_voxels(volume.shape, volume.spacing_mm if spacing_mm else (), spacing_mm)
        # logits, their softmax and one working copy; the native image twice
        require_memory(4 * (3 * classes * voxels + 2 * float(np.prod(volume.shape))), self.bundle.card.title)

    def _predicted(self, image: Any, progress: Progress) -> Tensor:
        from monai.data import MetaTensor

        with self.bundle.loading.inference():
            logits = self._window.run(
                image[None],
                self._network,
                self.bundle.device,
                lambda done: progress(0.1 + 0.7 * done, "running the network"),
            )
        predicted: Tensor = MetaTensor(logits[0].clone(), meta=dict(image.meta))
        return predicted

    def _mask(self, values: Any, target: str) -> BoolArray:
        """Return a target's mask from a label map (i, j, k) or from channels (c, i, j, k)."""
        wanted = self._values(target)
        if values.ndim == 4:
            return np.asarray(np.any(values[list(wanted)] > 0, axis=0))
        return np.asarray(np.isin(values, wanted))

    def _values(self, target: str) -> tuple[int, ...]:
        if target in self._labels:
            return self._labels[target]
        parts = members_of(target)
        if not parts:
            raise UnavailableError(f"the bundle's metadata name no {target!r}: it is not the version of the card")
        return tuple(value for part in parts for value in self._values(part))


def _window_of(bundle: Bundle) -> SlidingWindow:
    """Return how the bundle's own inferer cuts an image.

    Raises:
        UnsupportedError: it works in another way.
    """
    from monai.inferers import SimpleInferer, SlidingWindowInferer

    inferer = bundle.config.get("inferer")
    if isinstance(inferer, SlidingWindowInferer):
        axis = _slice_axis(inferer)
        return SlidingWindow.of_monai(inferer, slice_axis=axis)
    if isinstance(inferer, SimpleInferer):
        return SlidingWindow((0, 0) if bundle.is_flat else (0, 0, 0))
    raise UnsupportedError(f"the inferer {type(inferer).__name__} of {bundle.card.title} is not supported")


def _slice_axis(inferer: Any) -> int | None:
    """Return along which axis a network for single slices is led through a volume; None for a network of volumes."""
    from monai.inferers import SliceInferer

    return int(inferer.spatial_dim) if isinstance(inferer, SliceInferer) else None


def _network_of(bundle: Bundle) -> Callable[[Tensor], Any]:
    network: Callable[[Tensor], Any] = bundle.network
    axis = _slice_axis(bundle.config.get("inferer"))
    if axis is None:
        return network

    def by_slice(patches: Tensor) -> Any:
        """Run a network of (batch, channel, a, b) on patches of volumes that are one slice thick."""
        answer = network(patches.squeeze(axis + 2))
        logits = answer[0] if isinstance(answer, tuple | list) else answer
        return logits.unsqueeze(axis + 2)

    return by_slice
