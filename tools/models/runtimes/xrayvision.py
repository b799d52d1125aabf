"""TorchXRayVision on chest films: DenseNet and ResNet findings, PSPNet anatomy. An extra, for it needs torchvision.

The package builds the networks and gives their labels and operating points; weights are loaded here, as tensors only.
The published DenseNet files are whole pickled models, which could run any code when opened: they are refused with how
to convert them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.models.memory import is_out_of_memory
from tools.models.runtimes.base import Attention, Loading, Options, Progress, Segmentation
from tools.results import LabelScore

if TYPE_CHECKING:
    from tools.imaging.volume import AnyArray, BoolArray, Volume

BIT_DEPTHS = (8, 10, 12, 14, 15, 16)
CONVERT = (
    'convert it once where you trust its source: python -c "import torch, torchxrayvision as xrv; '
    "torch.save(xrv.models.DenseNet(weights='{name}').state_dict(), '{file}')\""
)


class FindingsOptions(Options):
    """What the card says of a classifier."""

    weights: str
    """The package's name of the weights, such as densenet121-res224-all: gives labels and operating points."""


class AnatomyOptions(Options):
    """What the card says of the anatomy network."""

    labels: dict[str, str]
    """Target of the card by the network's own label."""
    threshold: float = 0.5
    """Of the sigmoid of the network's output; the package's own example uses 0.5."""


class Findings:
    """Scores of findings on a frontal chest film.

    A score is the sigmoid of the network, moved so that its operating point lies at 0.5, as the package publishes it
    (op_norm); where the package gives none, it is the sigmoid itself, without an operating point.

    Args:
        loading: the card, which names the targets, and the device.
        network: (1, 1, size, size) in [-1024, 1024] → (1, labels) logits.
        labels: of the network, in its order; empty ones have no meaning and are left out.
        operating_points: of the sigmoid, in the same order; NaN where there is none.
        size_px: side of the network's input.

    Raises:
        BadInputError: the card names targets that the network does not have.
    """

    def __init__(
        self, loading: Loading, network: Any, *, labels: Sequence[str], operating_points: Sequence[float], size_px: int
    ) -> None:
        card = loading.card
        self._targets = [card.named(label) or "" if label else "" for label in labels]
        if lacking := sorted(set(card.targets) - set(self._targets)):
            raise BadInputError(f"model card {card.name!r} names {', '.join(lacking)}, which its weights do not score")
        self._loading, self._network, self._points, self._size_px = loading, network, operating_points, size_px

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score findings, all when none is named."""
        import torch

        pixels = square_pixels(volume, self._size_px)
        progress(0.3, "scoring findings")
        with self._loading.inference():
            tensor = torch.from_numpy(pixels)[None, None].to(self._loading.device)
            raw = torch.sigmoid(self._network(tensor)[0].float()).tolist()
        found = []
        for target, score, point in zip(self._targets, raw, self._points, strict=True):
            if target and (not labels or target in labels):
                has_point = bool(np.isfinite(point))
                found.append(
                    LabelScore(
                        label=target,
                        score=at_half(score, point) if has_point else score,
                        operating_point=0.5 if has_point else None,
                    )
                )
        return tuple(found)

    def attention(self, volume: Volume, label: str) -> Attention:
        """Return network and input behind the score of a label; see `ExplainRuntime`."""
        import torch

        pixels = square_pixels(volume, self._size_px)
        return Attention(
            network=self._network,
            inputs=torch.from_numpy(pixels)[None, None].to(self._loading.device),
            index=self._targets.index(label),
            to_image=lambda found: on_film(found, volume),
            layer="features" if hasattr(self._network, "features") else "",
        )


class Anatomy:
    """Outlines of 14 structures on a frontal chest film.

    Args:
        loading: the card, which names the targets, and the device.
        network: (1, 3, 512, 512), normalised → (1, labels, 512, 512) logits.
        labels: of the network, in its order.
        options: of the card.
    """

    SIZE_PX = 512
    MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the package's PSPNet takes them

    def __init__(self, loading: Loading, network: Any, labels: Sequence[str], options: AnatomyOptions) -> None:
        card = loading.card
        self._places = {options.labels.get(label): place for place, label in enumerate(labels)}
        if lacking := sorted(set(card.targets) - set(self._places)):
            raise BadInputError(f"model card {card.name!r} names {', '.join(lacking)}, which the network does not have")
        self._loading, self._network, self._threshold = loading, network, options.threshold

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline structures on the film's own grid; edges outside the central square are not looked at."""
        import torch

        pixels = square_pixels(volume, self.SIZE_PX)
        progress(0.2, "outlining structures")
        tensor = torch.from_numpy((pixels + 1024) / 2048)[None, None].repeat(1, 3, 1, 1)
        mean, deviation = (torch.tensor(v)[None, :, None, None] for v in (self.MEAN, self.DEVIATION))
        with self._loading.inference():
            maps = torch.sigmoid(self._network(((tensor - mean) / deviation).to(self._loading.device)).float())
        rows, columns = central_square(volume.shape[1], volume.shape[0])
        side = rows.stop - rows.start
        masks: dict[str, BoolArray] = {}
        for name in targets:
            smooth = torch.nn.functional.interpolate(maps[:, [self._places[name]]], (side, side), mode="bilinear")
            mask = np.zeros(volume.shape, bool)
            mask[columns, rows, 0] = (smooth[0, 0] >= self._threshold).cpu().numpy().T
            masks[name] = mask
        notes = () if side == max(volume.shape[:2]) else ("Only the central square of the film was looked at.",)
        return Segmentation(masks, notes)


def at_half(score: float, point: float) -> float:
    """Move a sigmoid so that its operating point lies at 0.5, linearly on both sides (op_norm of the package)."""
    return score / (2 * point) if score < point else 1 - (1 - score) / (2 * (1 - point))


def square_pixels(volume: Volume, size_px: int) -> AnyArray:
    """Return a film as float32 (size, size) in [-1024, 1024]: its central square, resized as the package does it.

    Black is 0 and white the largest value that the film's bit depth holds; where the header does not say the depth, the
    smallest usual one that holds every value.

    Raises:
        UnsupportedError: a volume, or colour.
        BadInputError: blank, or values that are no numbers.
    """
    from skimage.transform import resize

    if volume.dims != 2 or volume.is_colour:
        what = "a colour picture" if volume.is_colour else f"a volume of {volume.shape[2]} slices"
        raise UnsupportedError(f"TorchXRayVision reads gray chest films, got {what}: attach the film itself")
    film = volume.array[:, :, 0].T.astype(np.float32)
    if not np.isfinite(film).all() or film.min() == film.max():
        what = "values that are no numbers" if not np.isfinite(film).all() else f"one value everywhere ({film[0, 0]:g})"
        raise BadInputError(f"the film holds {what}: no finding can be scored on it")
    low, high = _range(volume, film)
    film = (2 * (film - low) / (high - low) - 1) * 1024
    rows, columns = central_square(*film.shape)
    resized: AnyArray = resize(film[rows, columns], (size_px, size_px), mode="constant", preserve_range=True)
    return resized.astype(np.float32)


def central_square(rows: int, columns: int) -> tuple[slice, slice]:
    """Return the largest square in the middle, as the package's XRayCenterCrop cuts it."""
    side = min(rows, columns)
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    return slice(top, top + side), slice(left, left + side)


def on_film(found: AnyArray, volume: Volume) -> AnyArray:
    """Bring a map over the network's square back to the film, float32 (i, j, 1); outside the square it is 0."""
    from skimage.transform import resize

    rows, columns = central_square(volume.shape[1], volume.shape[0])
    film = np.zeros((volume.shape[1], volume.shape[0]), np.float32)
    side = rows.stop - rows.start
    film[rows, columns] = resize(found, (side, side), order=1, mode="edge", preserve_range=True)
    return film.T[:, :, None]


def _range(volume: Volume, film: AnyArray) -> tuple[float, float]:
    """Return which values are black and white."""
    lowest, highest = float(film.min()), float(film.max())
    if volume.array.dtype.kind == "f" or lowest < 0:
        return lowest, highest
    said = volume.header.get("BitsStored", "")
    depths = [int(said)] if said.isdigit() else [8] if volume.array.dtype == np.uint8 else BIT_DEPTHS
    return 0.0, next((2.0**depth - 1 for depth in depths if highest < 2**depth), highest)


def load_findings(loading: Loading) -> Findings:
    """Load a classifier of the package: its network and operating points, and a state dict of weights."""
    options = loading.options(FindingsOptions)
    models = _package(loading).models
    known: Mapping[str, Mapping[str, Any]] = models.model_urls
    if options.weights not in known:
        raise BadInputError(
            f"model card {loading.card.name!r}, [options] weights: the package knows no {options.weights!r}"
        )
    said = known[options.weights]
    if options.weights.startswith("resnet"):
        network = _resnet(options.weights, len(said["labels"]))
    else:
        network = models.DenseNet(weights=None, num_classes=len(said["labels"]))
    return Findings(
        loading,
        _filled(network, loading, options.weights),
        labels=said["labels"],
        operating_points=said.get("op_threshs") or [float("nan")] * len(said["labels"]),
        size_px=int(said.get("input_resolution", 224)),
    )


def load_anatomy(loading: Loading) -> Anatomy:
    """Load the PSPNet of the package from its published state dict."""
    _package(loading)
    options = loading.options(AnatomyOptions)
    chestx_det = importlib.import_module("torchxrayvision.baseline_models.chestx_det")
    labels = chestx_det.PSPNet.targets
    network = _filled(chestx_det.pspnet(len(labels)), loading, "")
    return Anatomy(loading, network, labels, options)


def _package(loading: Loading) -> Any:
    try:
        return importlib.import_module("torchxrayvision")
    except (ImportError, RuntimeError) as error:  # torchvision beside another torch: "operator … does not exist"
        raise UnavailableError(
            f"model {loading.card.name!r} needs torchxrayvision, and torchvision of the same release as torch "
            f"({error}); run \"pip install 'readingroom[xray]'\""
        ) from error


def _resnet(name: str, classes: int) -> Any:
    """Build the package's ResNet; its own class would download and unpickle the weights at once."""
    import torch
    from torchvision import models

    network = getattr(models, name.partition("-")[0])(num_classes=classes, weights=None)
    network.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return network


def _filled(network: Any, loading: Loading, name: str) -> Any:
    """Load weights into a network; see the module's first lines for what is refused."""
    path = next(iter(loading.weights.values()))
    state = _state_dict(path, name)
    plain = {key.removeprefix("module.").removeprefix("model."): value for key, value in state.items()}
    plain.pop("op_threshs", None)
    try:
        network.load_state_dict(plain)
    except RuntimeError as error:
        raise UnavailableError(
            f"weights {path.name!r} do not fit model {loading.card.name!r}: {str(error).splitlines()[-1].strip()[:200]}"
        ) from error
    return network.to(loading.device).eval()


def _state_dict(path: Path, name: str) -> Mapping[str, Any]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's restricted reader raises whatever the bytes lead it to
        if is_out_of_memory(error):
            raise
        if type(error).__name__ != "UnpicklingError":
            raise UnavailableError(f"weights {path.name!r} cannot be read ({error!r}): get them again") from error
        how = CONVERT.format(name=name, file=path.name) if name else "ask its publisher for a state dict"
        raise UnavailableError(
            f"weights {path.name!r} are a whole pickled model, which could run any code when opened: {how}"
        ) from error
    if not isinstance(state, Mapping):
        raise UnavailableError(f"weights {path.name!r} must be a state dict, got {type(state).__name__}")
    return state
