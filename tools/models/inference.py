"""A network over an image larger than its input: overlapping patches, blended, with bounded memory.

Patches, their weights and the order of work are MONAI's; the loop is ours, so that work can be stopped between two
batches, sums are made in place, and on a GPU the next patches travel while the present ones are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Window = tuple[slice, ...]
SMALLEST_PATCH = 32  # networks that halve their input five times take multiples of 32


@dataclass(frozen=True)
class SlidingWindow:
    """How patches are cut and blended."""

    patch_size: tuple[int, ...]
    """Voxels along each axis of the network's input."""
    overlap: float = 0.25
    """Share of a patch that its neighbour covers too."""
    batch: int = 1
    """Patches per call of the network."""
    blend: Literal["constant", "gaussian"] = "gaussian"
    sigma_scale: float = 0.125
    """Width of the Gaussian as a share of the patch."""
    padding_mode: str = "constant"
    """How an image smaller than a patch is enlarged: constant, replicate, reflect."""
    padding_value: float = 0.0
    keep_on_device: bool = False
    """Whether sums stay on the network's device; else they are in main memory, which holds whole bodies."""

    @classmethod
    def of_monai(cls, inferer: Any, *, slice_axis: int | None = None) -> SlidingWindow:
        """Take over the settings of a `monai.inferers.SlidingWindowInferer`.

        Args:
            inferer: MONAI's.
            slice_axis: for networks of single slices: the axis along which patches are one voxel thick.
        """
        blend: Literal["constant", "gaussian"] = "gaussian" if str(inferer.mode).endswith("gaussian") else "constant"
        scale = inferer.sigma_scale
        patch = [int(n) for n in inferer.roi_size]
        if slice_axis is not None:
            patch.insert(slice_axis, 1)
        return cls(
            patch_size=tuple(patch),
            overlap=float(inferer.overlap if not isinstance(inferer.overlap, Sequence) else max(inferer.overlap)),
            batch=int(inferer.sw_batch_size),
            blend=blend,
            sigma_scale=float(scale if not isinstance(scale, Sequence) else scale[0]),
            padding_mode=str(getattr(inferer.padding_mode, "value", inferer.padding_mode)),
            padding_value=float(inferer.cval),
        )

    @property
    def saving(self) -> str:
        """What is kept in memory at once, for a reader."""
        size = " × ".join(str(n) for n in self.patch_size)
        return f"patches of {size} voxels, {self.batch} at a time"

    def smaller(self) -> SlidingWindow | None:
        """Return the same with one patch at a time, then with patches of half the length; None at 32 voxels."""
        if self.batch > 1:
            return replace(self, batch=1)
        halved = tuple(max(SMALLEST_PATCH, n // 2 // SMALLEST_PATCH * SMALLEST_PATCH) for n in self.patch_size)
        shrunk = tuple(min(n, h) if n > 0 else n for n, h in zip(self.patch_size, halved, strict=True))
        return None if shrunk == self.patch_size else replace(self, patch_size=shrunk)

    def run(
        self,
        image: Tensor,
        network: Callable[[Tensor], Any],
        device: str,
        progress: Callable[[float], None] = lambda done: None,
    ) -> Tensor:
        """Return what a network gives for a whole image; the caller sets precision and gradients.

        Args:
            image: float (1, channels, *spatial), on any device.
            network: takes (batch, channels, *patch_size), returns (batch, classes, *patch_size).
            device: where the network is.
            progress: told the share of patches done; may raise to stop.

        Returns:
            float32 (1, classes, *spatial).
        """
        padded, crop = self._padded(image)
        sums = self._summed(padded, network, device, progress)
        inside: Window = (slice(None), slice(None), *crop)
        return sums[inside]

    def _padded(self, image: Tensor) -> tuple[Tensor, Window]:
        """Enlarge an image to at least one patch, evenly on both sides."""
        import torch

        plain = image.as_subclass(torch.Tensor)
        pads: list[int] = []
        crop = []
        for have, want in zip(plain.shape[2:], self._patch(plain), strict=True):
            before = max(want - have, 0) // 2
            pads = [before, max(want - have, 0) - before, *pads]
            crop.append(slice(before, before + have))
        if any(pads):
            options = {"value": self.padding_value} if self.padding_mode == "constant" else {}
            plain = torch.nn.functional.pad(plain, pads, mode=self.padding_mode, **options)
        return plain, tuple(crop)

    def _patch(self, image: Tensor) -> tuple[int, ...]:
        return tuple(n if n > 0 else have for n, have in zip(self.patch_size, image.shape[2:], strict=True))

    def _windows(self, image: Tensor) -> list[Window]:
        from monai.data.utils import dense_patch_slices

        patch = self._patch(image)
        steps = tuple(
            have if have == n else max(1, int(n * (1 - self.overlap)))
            for have, n in zip(image.shape[2:], patch, strict=True)
        )
        return list(dense_patch_slices(image.shape[2:], patch, steps, return_slice=True))

    def _summed(
        self, image: Tensor, network: Callable[[Tensor], Any], device: str, progress: Callable[[float], None]
    ) -> Tensor:
        import torch
        from monai.data.utils import compute_importance_map

        windows = self._windows(image)
        keep_at = device if self.keep_on_device else "cpu"
        weight = compute_importance_map(
            self._patch(image), mode=self.blend, sigma_scale=self.sigma_scale, device=torch.device(keep_at)
        ).float()
        counts = torch.zeros(image.shape[2:], device=keep_at)
        sums: Tensor | None = None
        batches = [windows[start : start + self.batch] for start in range(0, len(windows), self.batch)]
        coming = self._sent(image, batches[0], device)
        for number, batch in enumerate(batches):
            present = coming
            computed = network(present)
            logits = computed[0] if isinstance(computed, tuple | list) else computed
            if number + 1 < len(batches):
                coming = self._sent(image, batches[number + 1], device)
            if sums is None:
                sums = torch.zeros((1, logits.shape[1], *image.shape[2:]), device=keep_at)
            logits = logits.to(keep_at, torch.float32)
            for row, window in zip(logits, batch, strict=True):
                place: tuple[int | slice, ...] = (0, slice(None), *window)
                sums[place].addcmul_(row, weight)
                counts[window] += weight
            del computed, logits, row  # so that the next batch's answer finds their room
            progress((number + 1) / len(batches))
        assert sums is not None  # noqa: S101  there is at least one window
        return sums.div_(counts)

    def _sent(self, image: Tensor, windows: Sequence[Window], device: str) -> Tensor:
        """Start the way of patches to the device; on a GPU it goes on beside the computation."""
        import torch

        patches = torch.cat([image[(slice(None), slice(None), *window)] for window in windows])
        if torch.device(device).type != "cuda" or patches.device.type != "cpu":
            return patches.to(device)
        aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's stubs leave it open
        with torch.cuda.stream(aside):
            sent = patches.pin_memory().to(device, non_blocking=True)
        torch.cuda.current_stream(device).wait_stream(aside)
        sent.record_stream(torch.cuda.current_stream(device))
        return sent


def resampled_voxels(shape: Sequence[int], spacing_mm: Sequence[float], to_mm: Sequence[float] | None) -> float:
    """Return how many voxels an image has after resampling to another spacing."""
    if to_mm is None:
        return float(np.prod(shape))
    return float(
        np.prod([n * have / want if want > 0 else n for n, have, want in zip(shape, spacing_mm, to_mm, strict=False)])
    )
