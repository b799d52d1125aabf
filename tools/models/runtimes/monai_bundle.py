"""MONAI bundles as the model zoo ships them: their own network, pre- and post-processing, read under an allow-list."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Loading, Options
from tools.models.runtimes.bundle_config import BundleConfig
from tools.models.runtimes.bundle_files import BundleFiles

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
    """Entries of the bundle's configuration to replace, such as a switch for images that are not resampled yet; a `#`
    leads into an entry."""
    operating_point: float | None = Field(default=None, ge=0, le=1)
    """For detection: the score from which a box counts."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """For classification: what makes scores of the network's answer."""
    operating_points: dict[str, float] = Field(default_factory=dict)
    """For classification, per label: the score from which it counts."""
    spacing_mm: tuple[float, float, float] | None = None
    """For generation: the voxel size of what is made, where the configuration does not say it."""
    modality: str = ""
    """For generation: what kind of image is made, by its DICOM code."""
    body_part: str = ""
    """For generation: what it shows, by its DICOM name."""
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

    def _config(self) -> BundleConfig:
        import torch

        data, text, name = self.files.config()
        device = torch.device(self.device)
        given = {"bundle_root": ".", "device": device, "metadata": self.files.metadata}
        own: dict[str, Any] = dict.fromkeys(INTERNAL_CODE, _Settings)
        own |= {"torch.load": self._own_tensors, "torch.device": lambda *asked: device}
        where = f"bundle {self.files.path.name!r}, {name}"
        return BundleConfig(replaced(data, self.options.overrides), text, where, given=given, own=own)

    def _own_tensors(self, name: str, **options: Any) -> Any:
        """What `torch.load` in a configuration means here: tensors of a file in the bundle, and nothing else."""
        return self.files.load_tensors(str(name).removeprefix("./"))

    @cached_property
    def network(self) -> Any:
        """The network with its weights, on the device; the first look loads it."""
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

    @property
    def is_flat(self) -> bool:
        """Whether it works on single pictures, as its card says."""
        return self.card.dims == (2,)

    @property
    def channels(self) -> int:
        """How many channels the metadata say that its input has."""
        inputs: dict[str, Any] = self.files.metadata.get("network_data_format", {}).get("inputs", {})
        return int(next(iter(inputs.values())).get("num_channels", 1)) if inputs else 1

    def require(self, volume: Volume) -> None:
        """Refuse what the network cannot use; see `require_scan` and `require_picture`."""
        if self.is_flat:
            require_picture(volume, self.channels)
        else:
            require_scan(volume)

    def prepare(self, volumes: Sequence[Volume], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the data after the bundle's own preprocessing."""
        from monai.transforms import reset_ops_id

        image = picture_tensor(volumes[0]) if self.is_flat else meta_tensor(volumes)
        data: dict[str, Any] = {self.image_key: image, **(more or {})}
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


def replaced(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with some entries replaced, each by its id."""
    made = copy.deepcopy(dict(data))
    for entry, value in overrides.items():
        *parents, last = entry.split("#")
        holder = made
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = value
    return made


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


def picture_tensor(volume: Volume) -> Any:
    """Return a picture as MONAI's reader gives it: float32 (across, down), or (across, down, 3) in colour."""
    import torch
    from monai.data import MetaTensor

    array = np.ascontiguousarray(volume.array[:, :, 0], dtype=np.float32)
    colour = -1 if volume.is_colour else float("nan")
    meta = {"spatial_shape": np.array(volume.shape[:2]), "original_channel_dim": colour}
    return MetaTensor(torch.from_numpy(array.copy()), meta=meta)


def require_picture(volume: Volume, channels: int) -> None:
    """Refuse what a network for single pictures cannot use.

    Raises:
        UnsupportedError: a volume, or gray where colour is needed, or the other way round.
        BadInputError: a pixel is not a number.
    """
    if volume.dims != 2:
        raise UnsupportedError("the network works on single pictures, got a volume: attach one image")
    if volume.is_colour != (channels == 3):
        raise UnsupportedError(
            f"the network needs a {'colour' if channels == 3 else 'gray'} picture, got a "
            f"{'colour' if volume.is_colour else 'gray'} one"
        )
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds pixels that are not numbers (NaN or infinite): replace them first")


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
    if volume.dims == 2:
        return _flat_on_grid(found, volume)
    if tuple(found.shape[1:]) != volume.shape or not inverted:
        if not isinstance(found, MetaTensor):
            raise UnsupportedError(f"the bundle returns {tuple(found.shape[1:])} voxels for an image of {volume.shape}")
        image = meta_tensor((volume,))[None]
        found = ResampleToMatch(mode="nearest", padding_mode="zeros")(found.float(), image)
    array = np.rint(np.nan_to_num(found.detach().cpu().numpy()))
    return array[0] if array.shape[0] == 1 else array


def _flat_on_grid(found: Any, volume: Volume) -> Any:
    if tuple(found.shape[1:]) != volume.shape[:2]:
        raise UnsupportedError(
            f"the bundle returns {tuple(found.shape[1:])} pixels for a picture of {volume.shape[:2]}"
        )
    array = np.rint(np.nan_to_num(found.detach().cpu().numpy()))[..., None]
    return array[0] if array.shape[0] == 1 else array


def load(loading: Loading) -> Any:
    """Load a bundle; what it can do follows from its configuration.

    Raises:
        UnavailableError: files are missing or damaged, or weights do not fit.
        UnsupportedError: its configuration asks for what is not on the allow-list.
    """
    bundle = Bundle(loading)
    inferer = str(bundle.config.raw("inferer#_target_"))
    if loading.card.verb == "synthesize":
        from tools.models.runtimes.bundle_generation import generator_of

        return generator_of(bundle)
    if loading.card.verb == "classify":
        from tools.models.runtimes.bundle_classification import ClassificationBundle

        return ClassificationBundle(bundle)
    if bundle.config.raw("detector") is not None:
        from tools.models.runtimes.bundle_detection import DetectionBundle

        return DetectionBundle(bundle)
    if inferer == "scripts.inferer.Vista3dInferer":
        from tools.models.runtimes.bundle_vista3d import Vista3dBundle

        return Vista3dBundle(bundle)
    from tools.models.runtimes.bundle_segmentation import SegmentationBundle

    return SegmentationBundle(bundle)
