"""Networks that are one file without configuration, ONNX and TorchScript: the card says what they take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.free_memory import require_memory
from tools.imaging.anatomy import members_of
from tools.imaging.geometry import world_to_voxel
from tools.imaging.volume import BoolArray, Volume
from tools.models.inference import SlidingWindow, resampled_voxels
from tools.models.runtimes.array_maps import SIGMOID_CUT, outlines, peaks
from tools.models.runtimes.base import FoundPoint, Loading, Options, Progress, Segmentation
from tools.models.runtimes.monai_bundle import meta_tensor, on_grid, require_scan
from tools.places import Position
from tools.results import LabelScore

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float32]
Network = Callable[[FloatArray], FloatArray]
"""Takes and gives float32 with the batch first, in the layout of the file."""


class ArrayOptions(Options):
    """Table [options] of a card for these runtimes."""

    size: tuple[int, ...]
    """Rows and columns of a picture, or the patch (i, j, k) of a volume, as the network takes it."""
    labels: tuple[str, ...]
    """What each output stands for, in order; an empty name is an output without meaning, such as background."""
    channels: Literal[1, 3] = 1
    layout: Literal["channels_first", "channels_last"] = "channels_first"
    intensity: Literal["none", "minmax", "window", "zscore"] = "none"
    """How values are scaled: minmax to 0…1 by the image itself, window to 0…1 by `window`, zscore to mean 0, sd 1."""
    window: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value, for intensity = "window"; what lies outside is cut."""
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    """What is applied to the network's answer; none where the network does it itself."""
    operating_points: dict[str, float] = Field(default_factory=dict)
    """Per label: the score from which it counts; for landmarks, the height of the map from which a point is there."""
    spacing_mm: tuple[float, float, float] | None = None
    """For volumes: the spacing to resample to; none: as the image is."""
    orientation: str = Field(default="RAS", pattern="^[RL][AP][SI]$")
    """For volumes: how the network's axes lie in the patient."""
    overlap: float = Field(default=0.25, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> ArrayOptions:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise ValueError("size must be two numbers for pictures or three for volumes")
        if self.intensity == "window" and self.window[1] <= self.window[0]:
            raise ValueError("window must rise")
        if strangers := set(self.operating_points) - set(self.labels):
            raise ValueError(f"operating_points names what labels does not: {', '.join(sorted(strangers))}")
        return self


class ArrayNetwork:
    """Serves `classify` on pictures, `segment` and `landmarks` on pictures and volumes, `enhance` on volumes.

    Args:
        network: the file, ready to be called.
        loading: what the hub lends.
        options: the card's.
        device: where the network really computes.
    """

    def __init__(self, network: Network, loading: Loading, options: ArrayOptions, device: str) -> None:
        self._network = network
        self._loading = loading
        self._options = options
        self.device = device

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels of a picture; see `ClassifyRuntime`."""
        options = self._options
        if volume.dims != 2 or len(options.size) != 2:
            raise UnsupportedError("this network scores single pictures: attach one image")
        progress(0.1, "preparing the picture")
        picture = _picture(volume, options)
        scores = self._answer(picture[None])[0].reshape(-1)
        if len(scores) != len(options.labels):
            raise UnavailableError(
                f"the network of {self._loading.card.name!r} gives {len(scores)} scores, its card names "
                f"{len(options.labels)} labels: the file is another version than the card"
            )
        progress(0.9, "reading the scores")
        return tuple(
            LabelScore(label=name, score=float(score), operating_point=options.operating_points.get(name))
            for name, score in zip(options.labels, scores, strict=True)
            if name and (not labels or name in labels)
        )

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in a picture or a volume; see `SegmentRuntime`."""
        from monai.data import MetaTensor

        single = self._options.activation == "sigmoid"
        if len(self._options.size) == 2:
            maps = self._picture_maps(volume, progress)
            stack = outlines(maps, volume.shape, several=single)[..., None]
            return Segmentation({target: self._mask(stack, target, channels=True) for target in targets})
        logits, image = self._volume_maps(volume, progress)
        found = (logits > SIGMOID_CUT).float() if single else logits.argmax(0, keepdim=True).float()
        values = on_grid(MetaTensor(found, meta=dict(image.meta)), volume)
        return Segmentation({target: self._mask(values, target, channels=single) for target in targets})

    def landmarks(self, volume: Volume, targets: Sequence[str], progress: Progress) -> tuple[FoundPoint, ...]:
        """Return the peaks of a network's heat maps, one a label; see `LandmarkRuntime`."""
        options = self._options
        if len(options.size) == 2:
            maps = self._picture_maps(volume, progress)
            steps = np.array(volume.shape[:2], np.float64) / np.array(options.size[::-1], np.float64)
            found = peaks(maps.swapaxes(1, 2), options.labels, options.operating_points)
            # pixel centres: the first of the network's pixels lies in the middle of those that it was made of
            places = [((p.voxel[0] + 0.5) * steps[0] - 0.5, (p.voxel[1] + 0.5) * steps[1] - 0.5, 0.0) for p in found]
        else:
            logits, image = self._volume_maps(volume, progress)
            found = peaks(logits.numpy(), options.labels, options.operating_points)
            affine = np.asarray(image.affine, np.float64)
            world = [affine[:3, :3] @ np.array(p.voxel) + affine[:3, 3] for p in found]
            places = [tuple(world_to_voxel(volume, np.array(place)).tolist()) for place in world]
        points = (FoundPoint(p.name, _inside(at, volume), p.score) for p, at in zip(found, places, strict=True))
        return tuple(point for point in points if not targets or point.name in targets)

    def _picture_maps(self, volume: Volume, progress: Progress) -> FloatArray:
        """Return what the network gives for a picture: (outputs, rows, columns)."""
        if volume.dims != 2:
            raise UnsupportedError("this network works on pictures, not on volumes")
        progress(0.1, "preparing the picture")
        maps: FloatArray = self._answer(_picture(volume, self._options)[None])[0]
        if maps.ndim != 3:
            raise UnavailableError(
                f"the network of {self._loading.card.name!r} gives {maps.shape} for a picture, a map per label is "
                "needed: its card names the wrong verb"
            )
        self._require_outputs(len(maps))
        return maps

    def _volume_maps(self, volume: Volume, progress: Progress) -> tuple[Tensor, Any]:
        """Return what the network gives for a volume, (outputs, *grid), and the image on that grid."""
        import torch

        options = self._options
        require_scan(volume)
        voxels = resampled_voxels(volume.shape, volume.spacing_mm, options.spacing_mm)
        require_memory(4 * (3 * len(options.labels) * voxels + 2 * float(np.prod(volume.shape))), "this network")
        progress(0.02, "preparing the image")
        image = self._upright(volume)
        scaled = torch.from_numpy(_scaled(np.asarray(image.numpy(), np.float32), options))
        inputs = scaled[None] if options.channels == 1 else scaled[None].repeat(1, 3, 1, 1, 1)
        window = SlidingWindow(options.size, overlap=options.overlap)
        maps = window.run(inputs, self._on_tensors, "cpu", lambda d: progress(0.1 + 0.7 * d, "running the network"))
        self._require_outputs(maps.shape[1])
        return maps[0], image

    def _require_outputs(self, count: int) -> None:
        if count != len(self._options.labels):
            raise UnavailableError(
                f"the network of {self._loading.card.name!r} gives {count} channels, its card names "
                f"{len(self._options.labels)} labels: the file is another version than the card"
            )

    def synthesize(self, source: Volume | None, parameters: Mapping[str, Any], progress: Progress) -> Volume:
        """Make a finer or cleaner image of one; see `SynthesizeRuntime`."""
        from tools.models.runtimes.image_to_image import made_from

        if source is None:
            raise BadInputError("image: this network makes an image from an image; name one")
        return made_from(source, (self._answer, self._loading, self._options), parameters, progress)

    def _mask(self, values: Any, target: str, *, channels: bool) -> BoolArray:
        numbers = self._outputs(target)
        if channels:
            stack = values if values.ndim == 4 else values[None]
            return np.asarray(np.any(stack[list(numbers)] > 0, axis=0))
        return np.asarray(np.isin(values, numbers))

    def _outputs(self, target: str) -> tuple[int, ...]:
        if target in self._options.labels:
            return (self._options.labels.index(target),)
        parts = members_of(target)
        if not parts:
            raise UnavailableError(f"card {self._loading.card.name!r}: [options] labels has no {target!r}")
        return tuple(number for part in parts for number in self._outputs(part))

    def _upright(self, volume: Volume) -> Any:
        from monai.transforms import Orientation, Spacing

        image = Orientation(axcodes=self._options.orientation, labels=None)(meta_tensor((volume,))[None])
        if self._options.spacing_mm is None:
            return image
        return Spacing(pixdim=self._options.spacing_mm, mode="bilinear")(image)

    def _on_tensors(self, patches: Tensor) -> Tensor:
        import torch

        return torch.from_numpy(self._answer(patches.numpy()))

    def _answer(self, batch: FloatArray) -> FloatArray:
        """Run the network on a batch with channels first; its answer comes with channels first too."""
        last = self._options.layout == "channels_last"
        given = np.ascontiguousarray(np.moveaxis(batch, 1, -1) if last else batch, np.float32)
        try:
            answer = np.asarray(self._network(given), np.float32)
        except (ValueError, RuntimeError) as error:
            if "memory" in str(error).lower():
                raise
            shape = " × ".join(str(n) for n in given.shape)
            raise BadInputError(
                f"the network of {self._loading.card.name!r} does not take an input of {shape}: "
                f"{str(error).splitlines()[0][:200]}"
            ) from error
        answer = np.moveaxis(answer, -1, 1) if last and answer.ndim == batch.ndim else answer
        return _activated(answer, self._options.activation)


def _activated(answer: FloatArray, activation: str) -> FloatArray:
    if activation == "softmax":
        powers = np.exp(answer - answer.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-answer)), np.float32)
    return answer


def _picture(volume: Volume, options: ArrayOptions) -> FloatArray:
    """Return a picture as (channels, rows, columns) of the size wanted.

    Colour stays where the network takes three channels and becomes grey where it takes one; grey is repeated.
    """
    from skimage.transform import resize

    array = np.asarray(volume.array[:, :, 0], np.float32)
    if not np.isfinite(array).all():
        raise BadInputError("the image holds pixels that are not numbers (NaN or infinite): replace them first")
    if array.ndim == 3 and options.channels == 1:
        array = array @ np.array([0.299, 0.587, 0.114], np.float32)
    planes = np.moveaxis(array, 2, 0) if array.ndim == 3 else np.repeat(array[None], options.channels, axis=0)
    scaled = _scaled(planes.swapaxes(1, 2), options)
    drawn = [resize(s, options.size, order=1, mode="edge", anti_aliasing=True, preserve_range=True) for s in scaled]
    return np.asarray(drawn, np.float32)


def _inside(place: Sequence[float], volume: Volume) -> Position:
    """Return a position moved into the image, whose outermost half voxel a coarser grid may leave."""
    i, j, k = (min(max(0.0, float(at)), n - 1.0) for at, n in zip(place, volume.shape, strict=True))
    return i, j, k


def _scaled(array: FloatArray, options: ArrayOptions) -> FloatArray:
    low, high = options.window if options.intensity == "window" else (float(array.min()), float(array.max()))
    match options.intensity:
        case "minmax" | "window":
            return np.asarray(np.clip((array - low) / max(high - low, 1e-8), 0, 1), np.float32)
        case "zscore":
            return np.asarray((array - array.mean()) / max(float(array.std()), 1e-8), np.float32)
    return array


def file_of(loading: Loading, endings: Sequence[str]) -> Path:
    """Return the one file of the card's weights that a runtime can read.

    Raises:
        UnavailableError: there is none.
    """
    files = [path for path in loading.weights.values() if path.suffix in endings and path.is_file()]
    if len(files) != 1:
        raise UnavailableError(f"model {loading.card.name!r} needs one file ({' or '.join(endings)}), got {len(files)}")
    return files[0]
