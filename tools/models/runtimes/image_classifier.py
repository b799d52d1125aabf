"""Image classifiers in transformers format (ViT, ConvNeXt, ResNet, Swin, …), by AutoModelForImageClassification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from tools.errors import BadInputError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Attention, Loading, Options, Progress
from tools.models.runtimes.model_pictures import one_picture
from tools.models.runtimes.transformers_folder import load_model, load_processor
from tools.results import LabelScore

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch.nn import Module

    from tools.imaging.volume import AnyArray, Volume
    from tools.models.card import ModelCard


class ClassifierOptions(Options):
    """What the card says of a classifier."""

    output: Literal["softmax", "sigmoid"] = "softmax"
    """softmax: one of its classes applies; sigmoid: each is judged by itself."""
    operating_points: dict[str, float] = Field(default_factory=dict)
    """Per target of the card: the score from which it counts as present."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Target of the card by the network's own label; "" leaves a label out."""
    window: Preset = "auto"


class ImageClassifier:
    """A classifier of one picture.

    Args:
        loading: the card, which names the targets, and the device.
        model: gives logits (1, labels).
        processor: turns a picture into pixel_values.

    Raises:
        BadInputError: the network's labels are not those that the card names.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        card, options = loading.card, loading.options(ClassifierOptions)
        own = {int(place): str(label) for place, label in model.config.id2label.items()}
        self._targets = {place: options.labels.get(label, card.named(label) or "") for place, label in own.items()}
        self._require_all(card, options, own)
        self._loading, self._options, self._model, self._processor = loading, options, model, processor

    def _require_all(self, card: ModelCard, options: ClassifierOptions, own: Mapping[int, str]) -> None:
        lacking = sorted(set(card.targets) - set(self._targets.values()))
        strangers = sorted(set(options.operating_points) - set(card.targets))
        if lacking or strangers:
            what = f"targets {', '.join(lacking)}" if lacking else f"operating points of {', '.join(strangers)}"
            raise BadInputError(
                f"model card {card.name!r} names {what}, which the network does not have; it has "
                f"{', '.join(own.values())}: name them in [options.labels]"
            )

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels, all when none is named; labels that the card does not name are left out."""
        picture = one_picture(volume, "an image classifier", self._options.window)
        progress(0.2, "preparing the picture")
        inputs = self._processor(images=picture, return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._loading.device)
        with self._loading.inference():
            logits = self._model(pixel_values=pixels).logits[0].float()
        scores = logits.softmax(-1) if self._options.output == "softmax" else logits.sigmoid()
        progress(0.9, "scored")
        points = self._options.operating_points
        return tuple(
            LabelScore(label=target, score=float(scores[place]), operating_point=points.get(target))
            for place, target in self._targets.items()
            if target and (not labels or target in labels)
        )

    def attention(self, volume: Volume, label: str) -> Attention:
        """Return the network and its input, to explain the score of a label.

        Raises:
            BadInputError: the network does not know the label.
        """
        places = [place for place, target in self._targets.items() if target == label]
        if not places:
            raise BadInputError(f"finding: {self._loading.card.name} does not know {label!r}")
        picture = one_picture(volume, "an image classifier", self._options.window)
        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"].to(self._loading.device)
        return Attention(
            network=_Logits(self._model),
            inputs=pixels.float(),
            index=places[0],
            to_image=_placed(self._processor, picture),
            layer=None if _has_attention(self._model) else "",
        )


def _has_attention(model: Module) -> bool:
    """Return whether a network mixes places by attention: its last convolution only cuts the picture into patches."""
    return any("attention" in name.rsplit(".", 1)[-1] for name, _ in model.named_modules())


class _Logits:
    """Makes a module of a transformers model that gives its logits alone."""

    def __new__(cls, model: Any) -> Any:
        """Return the module."""
        import torch

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, pixel_values: Any) -> Any:
                return self.model(pixel_values=pixel_values).logits.float()

        return Logits().eval()


def _placed(processor: Any, picture: Image) -> Callable[[Any], AnyArray]:
    """Return how a map over the network's input lies on the picture: (rows, columns) to float32 (i, j, 1).

    Processors resize, crop and pad, each in its own way; so two ramps go through this one, and tell where each pixel of
    its input comes from. What it crops away is 0.
    """
    from PIL import Image as Images
    from scipy.ndimage import map_coordinates

    width, height = picture.size
    across = np.broadcast_to(np.linspace(0, 255, width).round(), (height, width))
    down = np.broadcast_to(np.linspace(0, 255, height).round()[:, None], (height, width))

    def through(plane: Any) -> Any:
        page = Images.fromarray(np.repeat(np.asarray(plane, np.uint8)[..., None], 3, axis=2))
        return np.asarray(processor(images=page, return_tensors="np")["pixel_values"][0][0], np.float64)

    black, white = through(np.zeros((height, width))), through(np.full((height, width), 255))
    span = np.where(white != black, white - black, np.nan)
    x, y = ((through(ramp) - black) / span for ramp in (across, down))
    columns, rows = _line(np.nanmedian(x, axis=0)), _line(np.nanmedian(y, axis=1))

    def to_image(heat: Any) -> AnyArray:
        i, j = np.mgrid[:width, :height]
        at_row = (j / max(height - 1, 1) - rows[1]) / rows[0]
        at_column = (i / max(width - 1, 1) - columns[1]) / columns[0]
        found = map_coordinates(np.asarray(heat, np.float32), [at_row, at_column], order=1, mode="constant")
        return np.asarray(found, np.float32)[..., None]

    return to_image


def _line(shares: Any) -> tuple[float, float]:
    """Return slope and beginning of a ramp; its ends are left out, where it is cut or padded."""
    inner = np.flatnonzero((shares > 0.02) & (shares < 0.98))
    slope, start = np.polyfit(inner, shares[inner], 1)
    return float(slope), float(start)


def load(loading: Loading) -> ImageClassifier:
    """Load a classifier from a folder in transformers format."""
    model = load_model(loading, "AutoModelForImageClassification")
    return ImageClassifier(loading, model, load_processor(loading, "AutoImageProcessor"))
