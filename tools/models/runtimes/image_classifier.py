"""Image classifiers in transformers format (ViT, ConvNeXt, ResNet, Swin, …), by AutoModelForImageClassification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tools.errors import BadInputError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Loading, Options, Progress
from tools.models.runtimes.model_pictures import one_picture
from tools.models.runtimes.transformers_folder import load_model, load_processor
from tools.results import LabelScore

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
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


def load(loading: Loading) -> ImageClassifier:
    """Load a classifier from a folder in transformers format."""
    model = load_model(loading, "AutoModelForImageClassification")
    return ImageClassifier(loading, model, load_processor(loading, "AutoImageProcessor"))
