"""nnU-Net v2 result folders, and TotalSegmentator's, which are several of them: plans, labels and checkpoints.

What nnU-Net does between an image and its masks is done here from `plans.json` and `dataset.json`: transpose, crop to
what is not zero, normalise, resample, patches with a Gaussian, back. The network comes from nnU-Net's own package
dynamic-network-architectures. nnunetv2 itself is not needed: it installs torchvision, which many machines lack.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.free_memory import require_memory
from tools.imaging.anatomy import members_of
from tools.imaging.geometry import closest_canonical, from_canonical, to_orientation
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.models.inference import SlidingWindow
from tools.models.runtimes.base import Loading, Progress, Segmentation
from tools.models.runtimes.monai_bundle import require_scan
from tools.models.runtimes.nnunet_folders import NnunetOptions, ResultFolder, refusal, result_folders
from tools.models.runtimes.nnunet_plans import Plans
from tools.models.runtimes.nnunet_steps import labels_of_logits, prepared

if TYPE_CHECKING:
    from torch import Tensor

NETWORKS = "dynamic_network_architectures.architectures."
_OLD_NUMPY = "numpy.core.multiarray.scalar"
"""What checkpoints written under numpy 1 call the function that unpickles a number."""


class NnunetFolder:
    """One result folder: plans, labels, and one network per fold.

    Args:
        folder: what was read of it.
        loading: what the hub lends.

    Raises:
        UnavailableError: a checkpoint is damaged, or weights do not fit.
        UnsupportedError: the plans ask for something that is not supported.
    """

    def __init__(self, folder: ResultFolder, loading: Loading) -> None:
        options = loading.options(NnunetOptions)
        self._loading = loading
        self.plans, self.labels = folder.plans, folder.labels
        self.networks = [self._network(path) for path in folder.checkpoints]
        self.mirror_axes = self._mirror_axes if options.mirror else ()

    _mirror_axes: tuple[int, ...] = ()

    def _network(self, path: Path) -> Any:
        network = _made(self.plans, self.labels.outputs)
        checkpoint = _checkpoint(path, self._loading.device)
        weights = {k.removeprefix("module."): v for k, v in checkpoint["network_weights"].items()}
        axes = checkpoint.get("inference_allowed_mirroring_axes") or ()
        self._mirror_axes = tuple(int(axis) + self.plans.flat for axis in axes)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            lines = str(error).splitlines()
            reason = (lines[1] if len(lines) > 1 else lines[0]).strip()[:300]
            raise UnavailableError(f"{path.parent.name}/{path.name} does not fit its plans: {reason}") from None
        return network.to(self._loading.device).eval()

    def label_map(
        self, volumes: Sequence[Volume], window: SlidingWindow, progress: Callable[[float], None]
    ) -> AnyArray:
        """Return the labels of images that lie as the training images did: int (i, j, k)."""
        import torch

        data, undo = prepared(volumes, self.plans)
        image = torch.from_numpy(data)[None]
        total: Tensor | None = None
        runs = [(net, axes) for net in self.networks for axes in _mirrorings(self.mirror_axes)]
        with self._loading.inference():
            for number, (network, axes) in enumerate(runs):
                flip = [axis + 2 for axis in axes]
                part = _part(progress, number, len(runs))
                called = _by_slice(network) if self.plans.flat else network
                logits = window.run(image.flip(flip), called, self._loading.device, part).flip(flip)
                total = logits if total is None else total.add_(logits)
        assert total is not None  # noqa: S101  there is at least one network
        return labels_of_logits(total[0].numpy(), undo, self.plans, self.labels)


class Nnunet:
    """Serves `segment` from one result folder or several, each run only when one of its labels is asked for."""

    def __init__(
        self, folders: Sequence[NnunetFolder], loading: Loading, windows: Sequence[SlidingWindow] = ()
    ) -> None:
        self._folders = tuple(folders)
        self._loading = loading
        self._options = loading.options(NnunetOptions)
        self._windows = tuple(windows) or tuple(_window(folder.plans) for folder in folders)
        self.saving = self._windows[0].saving if windows else ""

    def smaller(self) -> Nnunet | None:
        """Return a form with smaller patches; see `Smaller`."""
        windows = [window.smaller() for window in self._windows]
        if any(window is None for window in windows):
            return None
        return Nnunet(self._folders, self._loading, [window for window in windows if window is not None])

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets; see `SegmentRuntime`."""
        return self.segment_series((volume,), targets, progress)

    def segment_series(self, volumes: Sequence[Volume], targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in aligned images, one a channel, in the order of the folder's dataset.json."""
        self._require(volumes)
        turned = [to_orientation(volume, self._options.orientation) for volume in volumes]
        volume, upright = volumes[0], turned[0]
        wanted = {target: self._labels_of(target) for target in targets}
        needed = sorted({number for parts in wanted.values() for number, _ in parts})
        masks = {target: np.zeros(upright.shape, np.bool_) for target in targets}
        for done, number in enumerate(needed):
            folder = self._folders[number]
            require_memory(folder.plans.memory_bytes(upright, folder.labels.outputs), self._loading.card.title)
            part = _part(lambda share: progress(share, "running the network"), done, len(needed))
            found = folder.label_map(turned, self._windows[number], part)
            for target, parts in wanted.items():
                values = [value for folder_number, value in parts if folder_number == number]
                if values:
                    masks[target] |= np.isin(found, values)
        return Segmentation({target: _back(mask, upright, volume) for target, mask in masks.items()})

    def _require(self, volumes: Sequence[Volume]) -> None:
        wanted = len(self._folders[0].plans.channels)
        if len(volumes) != wanted:
            named = f" ({', '.join(self._loading.card.series)})" if self._loading.card.series else ""
            raise BadInputError(
                f"series: {wanted} aligned images of one examination{named} are needed, got {len(volumes)}"
            )
        for volume in volumes:
            require_scan(volume)
            if not volume.same_grid(volumes[0]):
                raise BadInputError("series: all must lie on one grid; register and resample them first")

    def _labels_of(self, target: str) -> list[tuple[int, int]]:
        """Return (folder, label) of what makes up a target."""
        name = self._options.names.get(target, target)
        for number, folder in enumerate(self._folders):
            if name in folder.labels.values:
                return [(number, value) for value in folder.labels.values[name]]
        parts = members_of(target)
        if not parts:
            there = ", ".join(sorted({n for folder in self._folders for n in folder.labels.values})[:8])
            raise UnavailableError(f"none of the folders has a label {name!r}; there are: {there}")
        return [found for part in parts for found in self._labels_of(part)]


def load(loading: Loading) -> Nnunet:
    """Load every result folder below the card's weights.

    Raises:
        UnavailableError: there is none, one is incomplete or damaged, or the card does not fit them.
        UnsupportedError: the plans ask for something that is not supported.
    """
    root = next(iter(loading.weights.values()))
    folders = result_folders(root, loading.options(NnunetOptions))
    if why := refusal(loading.card, root):
        raise UnavailableError(why)
    return Nnunet([NnunetFolder(folder, loading) for folder in folders], loading)


def _checkpoint(path: Path, device: str) -> dict[str, Any]:
    """Load a checkpoint with weights_only; besides tensors it may hold numpy numbers: nnU-Net's log."""
    import torch

    scalar = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [
        scalar,
        (scalar, _OLD_NUMPY),
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    ]
    try:
        with torch.serialization.safe_globals(numbers):
            found = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0][:200]
        raise UnavailableError(
            f"{path.parent.name}/{path.name} holds more than tensors and is not loaded: {reason}"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UnavailableError(f"{path.parent.name}/{path.name} is damaged: {str(error)[:200]}") from None
    if not isinstance(found, dict) or "network_weights" not in found:
        raise UnavailableError(f"{path.parent.name}/{path.name} is no nnU-Net checkpoint: it has no network_weights")
    return found


def _made(plans: Plans, outputs: int) -> Any:
    """Return the network that the plans name, from nnU-Net's package of architectures and nowhere else."""
    from importlib import import_module

    if not plans.network_class.startswith(NETWORKS):
        raise UnsupportedError(f"the plans name the network {plans.network_class!r}; only {NETWORKS}* is allowed")
    module_name, _, name = plans.network_class.rpartition(".")
    try:
        make = getattr(import_module(module_name), name)
    except (ImportError, AttributeError):
        raise UnavailableError(
            f"the network {name!r} needs a package that is not here: pip install 'readingroom[nnunet]'"
        ) from None
    named = {key: _torch_class(value) if key in plans.torch_classes else value for key, value in plans.network.items()}
    return make(input_channels=len(plans.channels), num_classes=outputs, deep_supervision=False, **named)


def _torch_class(path: str | None) -> Any:
    """Return a layer of torch that the plans name, or None."""
    import torch

    if path is None:
        return None
    name = path.rpartition(".")[2]
    found = getattr(torch.nn, name, None)
    if not path.startswith("torch.nn.") or not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise UnsupportedError(f"the plans name the layer {path!r}; only layers of torch.nn are allowed")
    return found


def _part(progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    """Return the progress of one of several parts."""
    return lambda done: progress((number + done) / count)


def _window(plans: Plans) -> SlidingWindow:
    return SlidingWindow(plans.patch_size, overlap=0.5, batch=1, blend="gaussian", sigma_scale=0.125)


def _by_slice(network: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Run a network of single slices on patches (batch, channel, 1, a, b)."""
    return lambda patches: network(patches.squeeze(2)).unsqueeze(2)


def _mirrorings(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    from itertools import combinations

    for count in range(len(axes) + 1):
        yield from combinations(axes, count)


def _back(mask: BoolArray, upright: Volume, volume: Volume) -> BoolArray:
    """Bring a mask back to the axes of the image."""
    canonical = closest_canonical(replace(upright, array=mask))
    return np.asarray(from_canonical(canonical.array, volume))
