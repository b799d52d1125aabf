"""MONAI bundles as the model zoo ships them: their own network, pre- and post-processing, read under an allow-list."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.anatomy import members_of
from tools.imaging.volume import BoolArray, Volume
from tools.models.inference import SlidingWindow, require_memory, resampled_voxels
from tools.models.runtimes.base import Loading, Options, Progress, Segmentation
from tools.models.runtimes.bundle_config import BundleConfig
from tools.models.runtimes.bundle_files import BundleFiles

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "models/model.pt"
SCRIPT = "models/model.ts"
INTERNAL_CODE = ("scripts.inferer.Vista3dInferer", "scripts.detection_inferer.RetinaNetInferer")
"""Code in bundles of the zoo for which this package has its own counterpart."""


class BundleOptions(Options):
    """Table [options] of a card for this runtime."""

    labels: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """Per target: the values (or, for several output channels, the channels) that make it up. Targets that the
    bundle's metadata names alike need no entry."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Entries of the bundle's configuration to replace, such as a switch for images that are not resampled yet."""
    series: tuple[str, ...] = ()
    """What each input channel is, for a network that takes several aligned series."""
    operating_point: float | None = Field(default=None, ge=0, le=1)
    """For detection: the score from which a box counts."""
    checkpoint: str = ""
    """File of the weights in the bundle; empty: the one that its configuration names."""


class Bundle:
    """One bundle, opened: its files, its configuration and its network on a device."""

    def __init__(self, loading: Loading) -> None:
        self.card = loading.card
        self.options = loading.options(BundleOptions)
        self.device = loading.device
        self.loading = loading
        path = next(iter(loading.weights.values()))
        zipped = path.with_name(f"{path.name}.zip")
        self.files = BundleFiles(path if path.exists() or not zipped.exists() else zipped)
        self.config = self._config()
        self.network = self._network()

    def _config(self) -> BundleConfig:
        import torch

        data, text, name = self.files.config()
        given = {"bundle_root": ".", "device": torch.device(self.device), "metadata": self.files.metadata}
        own = dict.fromkeys(INTERNAL_CODE, _Settings)
        where = f"bundle {self.files.path.name!r}, {name}"
        return BundleConfig({**data, **self.options.overrides}, text, where, given=given, own=own)

    def _network(self) -> Any:
        name = self.options.checkpoint or self._checkpoint_name()
        if not self.files.has(name) and self.files.has(SCRIPT):
            return self.files.load_script(SCRIPT, self.device)
        network = self.config.get("network_def" if "network_def" in self.config else "network")
        checkpoint = self.files.load_tensors(name)
        state = checkpoint["model"] if isinstance(checkpoint, dict) and "model" in checkpoint else checkpoint
        try:
            network.load_state_dict(state)
        except (RuntimeError, TypeError, AttributeError) as error:
            lines = str(error).splitlines()
            reason = (lines[1] if len(lines) > 1 else lines[0]).strip()[:300]
            raise UnavailableError(
                f"bundle {self.files.path.name!r}: the weights in {name} do not fit its network: {reason}"
            ) from None
        return network.to(self.device).eval()

    def _checkpoint_name(self) -> str:
        """Return the file that the configuration loads, relative to the bundle."""
        for entry in ("checkpointloader", *(f"handlers#{n}" for n in range(len(self.config.raw("handlers") or ())))):
            loader = self.config.raw(entry)
            if isinstance(loader, dict) and "load_path" in loader:
                return str(self.config.get(f"{entry}#load_path")).removeprefix("./")
        return CHECKPOINT

    @property
    def image_key(self) -> str:
        """Under which key its transforms expect the image."""
        return str(self.config.get("image_key")) if "image_key" in self.config else "image"

    def channel_names(self) -> dict[int, str]:
        """Return what the metadata call each value or channel of the output."""
        outputs: dict[str, Any] = self.files.metadata.get("network_data_format", {}).get("outputs", {})
        names = next(iter(outputs.values())).get("channel_def", {}) if outputs else {}
        return {int(key): str(name) for key, name in names.items()}

    def spacing_mm(self) -> tuple[float, ...] | None:
        """Return the spacing that its first transforms resample to; None when they do not."""
        for number, step in enumerate(self.config.raw("preprocessing#transforms") or ()):
            if isinstance(step, dict) and str(step.get("_target_", "")).endswith("Spacingd"):
                return tuple(float(n) for n in self.config.get(f"preprocessing#transforms#{number}#pixdim"))
        return None

    def prepare(self, volumes: Sequence[Volume], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the data after the bundle's own preprocessing."""
        from monai.transforms import reset_ops_id

        data: dict[str, Any] = {self.image_key: meta_tensor(volumes), **(more or {})}
        prepared: dict[str, Any] = _applied(self._steps("preprocessing"), data, "prepare")
        reset_ops_id(prepared)  # so that a bundle's copy of its preprocessing can invert it too
        return prepared

    def finish(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data after the bundle's own postprocessing."""
        finished: dict[str, Any] = _applied(self._steps("postprocessing"), dict(data), "finish")
        return finished

    def _steps(self, entry: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MONAI announces changed defaults of its own transforms
            return self.config.get(entry)


class _Settings:
    """Keeps the arguments of code that a bundle brings and that is not run."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


def _applied(steps: Any, data: dict[str, Any], what: str) -> Any:
    import torch

    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as: there was nothing to invert
            return steps(data)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
        cause = error.__cause__ or error
        raise BadInputError(
            f"the bundle's own steps could not {what} this image: {str(cause).splitlines()[0]}"
        ) from error


def meta_tensor(volumes: Sequence[Volume]) -> Any:
    """Return images as MONAI's reader gives them: float32 (i, j, k), or (channel, i, j, k) for several, with affine."""
    import torch
    from monai.data import MetaTensor

    arrays = [np.ascontiguousarray(volume.array, dtype=np.float32) for volume in volumes]
    array = arrays[0] if len(arrays) == 1 else np.stack(arrays)
    affine = torch.as_tensor(np.array(volumes[0].affine_ras))
    meta = {
        "original_affine": affine.clone(),
        "spatial_shape": np.array(volumes[0].shape),
        "original_channel_dim": 0 if len(arrays) > 1 else float("nan"),
        "space": "RAS",
    }
    return MetaTensor(torch.from_numpy(array if len(arrays) > 1 else array.copy()), affine=affine, meta=meta)


def require_scan(volume: Volume) -> None:
    """Refuse what no volumetric network can use.

    Raises:
        UnsupportedError: one slice, colour, no spacing, or unknown orientation.
        BadInputError: a voxel is not a number.
    """
    if volume.dims != 3:
        raise UnsupportedError("the network needs a volume, got a single slice: attach the whole series")
    if volume.is_colour:
        raise UnsupportedError("the network needs one value per voxel, got a colour image")
    if not volume.orientation_known:
        raise UnsupportedError("the image does not say how it lies in the patient, which the network must know")
    _ = volume.spacing_mm  # refuses an image without millimetres
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")


class SegmentationBundle:
    """A bundle whose network gives a label map, or a channel per structure."""

    def __init__(self, bundle: Bundle, window: SlidingWindow | None = None) -> None:
        self.bundle = bundle
        self.saving = window.saving if window else ""
        self._window = window or _window_of(bundle)
        self._labels = label_values(bundle)

    def smaller(self) -> SegmentationBundle | None:
        """Return a form with fewer or smaller patches; see `Smaller`."""
        window = self._window.smaller()
        return None if window is None else SegmentationBundle(self.bundle, window)

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets; see `SegmentRuntime`."""
        if self.bundle.options.series:
            raise BadInputError(
                f"series: {self.bundle.card.title} needs {len(self.bundle.options.series)} aligned series of one "
                f"examination ({', '.join(self.bundle.options.series)}), got one: name the others in 'series'"
            )
        return self.segment_series((volume,), targets, progress)

    def segment_series(self, volumes: Sequence[Volume], targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in aligned series, in the order of the card."""
        wanted = max(1, len(self.bundle.options.series))
        if len(volumes) != wanted:
            raise BadInputError(f"series: {wanted} aligned series are needed, got {len(volumes)}")
        for volume in volumes:
            require_scan(volume)
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
        voxels = resampled_voxels(volume.shape, volume.spacing_mm, self.bundle.spacing_mm())
        # logits, their softmax and one working copy; the native image twice
        require_memory(4 * (3 * classes * voxels + 2 * float(np.prod(volume.shape))), self.bundle.card.title)

    def _predicted(self, image: Any, progress: Progress) -> Tensor:
        from monai.data import MetaTensor

        with self.bundle.loading.inference():
            logits = self._window.run(
                image[None],
                self.bundle.network,
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
        return SlidingWindow.of_monai(inferer)
    if isinstance(inferer, SimpleInferer):
        return SlidingWindow((0, 0, 0))
    raise UnsupportedError(f"the inferer {type(inferer).__name__} of {bundle.card.title} is not supported")


def label_values(bundle: Bundle) -> dict[str, tuple[int, ...]]:
    """Return the label values of each target, from the metadata's names and the card's own table."""
    named = {name.strip().lower().replace(" ", "_"): number for number, name in bundle.channel_names().items()}
    by_name = {target: (named[target.lower()],) for target in bundle.card.targets if target.lower() in named}
    return by_name | bundle.options.labels


def on_grid(found: Any, volume: Volume) -> Any:
    """Return a result as numpy on the image's own grid: (i, j, k), or (c, i, j, k) for several channels.

    Raises:
        UnsupportedError: the bundle leaves its result on another grid and does not say which.
    """
    from monai.data import MetaTensor
    from monai.transforms import ResampleToMatch

    inverted = not isinstance(found, MetaTensor) or np.allclose(found.affine, volume.affine_ras, atol=1e-3)
    if tuple(found.shape[1:]) != volume.shape or not inverted:
        if not isinstance(found, MetaTensor):
            raise UnsupportedError(f"the bundle returns {tuple(found.shape[1:])} voxels for an image of {volume.shape}")
        image = meta_tensor((volume,))[None]
        found = ResampleToMatch(mode="nearest", padding_mode="zeros")(found.float(), image)
    array = np.rint(np.nan_to_num(found.detach().cpu().numpy()))
    return array[0] if array.shape[0] == 1 else array


def load(loading: Loading) -> Any:
    """Load a bundle; what it can do follows from its configuration.

    Raises:
        UnavailableError: files are missing or damaged, or weights do not fit.
        UnsupportedError: its configuration asks for what is not on the allow-list.
    """
    bundle = Bundle(loading)
    inferer = bundle.config.raw("inferer#_target_")
    if bundle.config.raw("detector") is not None:
        from tools.models.runtimes.bundle_detection import DetectionBundle

        return DetectionBundle(bundle)
    if inferer == "scripts.inferer.Vista3dInferer":
        from tools.models.runtimes.bundle_vista3d import Vista3dBundle

        return Vista3dBundle(bundle)
    return SegmentationBundle(bundle)
