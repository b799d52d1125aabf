"""nnU-Net v2 result folders, and TotalSegmentator's, which are several of them: plans, labels and checkpoints.

What nnU-Net does between an image and its masks is done here from `plans.json` and `dataset.json`: transpose, crop to
what is not zero, normalise, resample, patches with a Gaussian, back. The network comes from nnU-Net's own package
dynamic-network-architectures. nnunetv2 itself is not needed: it installs torchvision, which many machines lack.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tools.errors import UnavailableError, UnsupportedError
from tools.imaging.anatomy import members_of
from tools.imaging.geometry import closest_canonical, from_canonical, to_orientation
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.models.inference import SlidingWindow, require_memory
from tools.models.runtimes.base import Loading, Options, Progress, Segmentation
from tools.models.runtimes.monai_bundle import require_scan
from tools.models.runtimes.nnunet_steps import Plans, labels_of_logits, prepared

if TYPE_CHECKING:
    from torch import Tensor

NETWORKS = "dynamic_network_architectures.architectures."
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


class NnunetOptions(Options):
    """Table [options] of a card for this runtime."""

    configuration: str = "3d_fullres"
    """Which configuration of the plans to run."""
    orientation: str = Field(default="RAS", pattern="^[RL][AP][SI]$")
    """How the training images lay in their files; nnU-Net itself does not turn images."""
    names: dict[str, str] = Field(default_factory=dict)
    """Per target: what the folder's dataset.json calls it, where that differs."""
    mirror: bool = False
    """Whether to average over mirrored copies, as nnU-Net does by default: eight times the time in 3-D."""


class NnunetFolder:
    """One result folder: plans, labels, and one network per fold.

    Args:
        folder: holds plans.json, dataset.json and fold_*.
        loading: what the hub lends.

    Raises:
        UnavailableError: a file is missing or damaged, or weights do not fit.
        UnsupportedError: the plans ask for something that is not supported.
    """

    def __init__(self, folder: Path, loading: Loading) -> None:
        options = loading.options(NnunetOptions)
        self._loading = loading
        self._folder = folder
        dataset = _json(folder / "dataset.json")
        self.labels: dict[str, int] = _labels(dataset, folder)
        self.plans = Plans.read(_json(folder / "plans.json"), options.configuration, folder.name)
        channels = dataset.get("channel_names") or dataset.get("modality") or {"0": "CT"}
        if len(channels) != 1:
            raise UnsupportedError(f"{folder.name} takes {len(channels)} channels; one image is what this tool has")
        self.networks = [self._network(fold) for fold in self._folds()]
        self.mirror_axes = self._mirror_axes if options.mirror else ()

    _mirror_axes: tuple[int, ...] = ()

    def _folds(self) -> list[Path]:
        found = [fold / name for fold in sorted(self._folder.glob("fold_*")) for name in CHECKPOINTS]
        by_fold = {path.parent: path for path in reversed(found) if path.is_file()}
        if not by_fold:
            raise UnavailableError(f"{self._folder.name} has no fold_*/checkpoint_final.pth: copy the whole folder")
        return [by_fold[fold] for fold in sorted(by_fold)]

    def _network(self, path: Path) -> Any:
        network = _made(self.plans, classes=max(self.labels.values()) + 1)
        checkpoint = _checkpoint(path, self._loading.device)
        weights = {k.removeprefix("module."): v for k, v in checkpoint["network_weights"].items()}
        self._mirror_axes = tuple(int(a) for a in checkpoint.get("inference_allowed_mirroring_axes") or ())
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            lines = str(error).splitlines()
            reason = (lines[1] if len(lines) > 1 else lines[0]).strip()[:300]
            raise UnavailableError(f"{path.parent.name}/{path.name} does not fit its plans: {reason}") from None
        return network.to(self._loading.device).eval()

    def label_map(self, volume: Volume, window: SlidingWindow, progress: Callable[[float], None]) -> AnyArray:
        """Return the labels of an image that lies as the training images did: int (i, j, k)."""
        import torch

        data, undo = prepared(volume, self.plans)
        image = torch.from_numpy(data)[None]
        total: Tensor | None = None
        runs = [(net, axes) for net in self.networks for axes in _mirrorings(self.mirror_axes)]
        with self._loading.inference():
            for number, (network, axes) in enumerate(runs):
                flip = [axis + 2 for axis in axes]
                part = _part(progress, number, len(runs))
                logits = window.run(image.flip(flip), network, self._loading.device, part).flip(flip)
                total = logits if total is None else total.add_(logits)
        assert total is not None  # noqa: S101  there is at least one network
        return labels_of_logits(total[0].numpy(), undo, self.plans)


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
        require_scan(volume)
        upright = to_orientation(volume, self._options.orientation)
        wanted = {target: self._labels_of(target) for target in targets}
        needed = sorted({number for parts in wanted.values() for number, _ in parts})
        masks = {target: np.zeros(upright.shape, np.bool_) for target in targets}
        for done, number in enumerate(needed):
            folder = self._folders[number]
            require_memory(folder.plans.memory_bytes(upright, len(folder.labels)), self._loading.card.title)
            part = _part(lambda share: progress(share, "running the network"), done, len(needed))
            found = folder.label_map(upright, self._windows[number], part)
            for target, parts in wanted.items():
                values = [value for folder_number, value in parts if folder_number == number]
                if values:
                    masks[target] |= np.isin(found, values)
        return Segmentation({target: _back(mask, upright, volume) for target, mask in masks.items()})

    def _labels_of(self, target: str) -> list[tuple[int, int]]:
        """Return (folder, label) of what makes up a target."""
        name = self._options.names.get(target, target)
        for number, folder in enumerate(self._folders):
            if name in folder.labels:
                return [(number, folder.labels[name])]
        parts = members_of(target)
        if not parts:
            there = ", ".join(sorted({n for folder in self._folders for n in folder.labels})[:8])
            raise UnavailableError(f"none of the folders has a label {name!r}; there are: {there}")
        return [found for part in parts for found in self._labels_of(part)]


def load(loading: Loading) -> Nnunet:
    """Load every result folder below the card's weights.

    Raises:
        UnavailableError: there is none, or one is incomplete or damaged.
    """
    root = next(iter(loading.weights.values()))
    folders = sorted(path.parent for path in root.rglob("plans.json") if (path.parent / "dataset.json").is_file())
    if not folders:
        raise UnavailableError(
            f"{root.name} holds no nnU-Net result folder: it has plans.json, dataset.json and fold_0"
        )
    return Nnunet([NnunetFolder(folder, loading) for folder in folders], loading)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{path.parent.name}/{path.name} is missing or damaged: {error}") from None
    if not isinstance(found, dict):
        raise UnavailableError(f"{path.parent.name}/{path.name} must hold one object")
    return found


def _labels(dataset: Mapping[str, Any], folder: Path) -> dict[str, int]:
    labels = dataset.get("labels", {})
    if not labels or not all(isinstance(value, int) for value in labels.values()):
        raise UnsupportedError(f"{folder.name} is trained on regions, or names no labels; plain labels are supported")
    return {str(name): value for name, value in labels.items()}


def _checkpoint(path: Path, device: str) -> dict[str, Any]:
    """Load a checkpoint with weights_only; besides tensors it may hold numpy numbers: nnU-Net's log."""
    import torch

    scalar = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [
        scalar,
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


def _made(plans: Plans, classes: int) -> Any:
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
    return make(input_channels=1, num_classes=classes, deep_supervision=False, **named)


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


def _mirrorings(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    from itertools import combinations

    for count in range(len(axes) + 1):
        yield from combinations(axes, count)


def _back(mask: BoolArray, upright: Volume, volume: Volume) -> BoolArray:
    """Bring a mask back to the axes of the image."""
    canonical = closest_canonical(replace(upright, array=mask))
    return np.asarray(from_canonical(canonical.array, volume))
