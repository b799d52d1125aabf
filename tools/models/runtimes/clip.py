"""Zero-shot classification by CLIP- and SigLIP-type models: a picture against phrases, one phrase pair a label.

Each label is scored on its own against what it is not ("a chest film with {label}" against "a chest film without
{label}"), with the model's or the card's temperature, so that "none of these" is a possible answer: a softmax over
diseases would always name one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tools.errors import BadInputError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Loading, Options, Progress
from tools.models.runtimes.model_pictures import one_picture
from tools.models.runtimes.transformers_folder import load_model, load_processor
from tools.results import LabelScore

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

PLACE = "{label}"


class ZeroShotOptions(Options):
    """What the card says of a zero-shot model."""

    with_label: str = "a chest x-ray showing {label}"
    """What is said of a picture that shows a label; {label} stands for it."""
    without_label: str = "a chest x-ray without {label}"
    """What is said of a picture that does not."""
    temperature: float | None = Field(default=None, gt=0)
    """Divides the difference of cosines; None: the model's own scale, which is not calibrated."""
    bias: float = 0.0
    """Added to the difference of cosines before it is divided."""
    operating_point: float = Field(default=0.5, gt=0, lt=1)
    """The score from which a label counts as present."""
    operating_points: dict[str, float] = Field(default_factory=dict)
    """The same for single targets."""
    window: Preset = "auto"

    @model_validator(mode="after")
    def _has_place(self) -> ZeroShotOptions:
        for name in ("with_label", "without_label"):
            if PLACE not in getattr(self, name):
                raise ValueError(f"{name} must hold {PLACE!r}")
        return self


class ZeroShot:
    """A picture-and-words model as a classifier of the card's targets.

    Args:
        loading: the card, which names the targets, and the device.
        model: has get_image_features, get_text_features and logit_scale.
        processor: turns pictures and words into its inputs.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        self._loading, self._options = loading, loading.options(ZeroShotOptions)
        self._model, self._processor = model, processor

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels, all of the card when none is named.

        Raises:
            BadInputError: the card names no target and none was asked for.
        """
        import torch

        names = tuple(labels) or self._loading.card.targets
        if not names:
            raise BadInputError("labels: name what to look for; this model has no list of its own")
        picture = one_picture(volume, "a zero-shot classifier", self._options.window)
        progress(0.2, "reading the picture")
        with self._loading.inference():
            image = self._unit(self._image(picture))
            progress(0.5, "reading the labels")
            said = (self._options.with_label, self._options.without_label)
            present, absent = (self._unit(self._texts(template, names)) for template in said)
            differences = ((present - absent) @ image[0]).float() + self._options.bias
            scores = torch.sigmoid(differences / self._temperature()).tolist()
        points = self._options.operating_points
        return tuple(
            LabelScore(label=n, score=s, operating_point=points.get(n, self._options.operating_point))
            for n, s in zip(names, scores, strict=True)
        )

    def _temperature(self) -> float:
        return self._options.temperature or 1.0 / float(self._model.logit_scale.exp())

    def _image(self, picture: Any) -> Any:
        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"]
        return self._model.get_image_features(pixel_values=pixels.to(self._loading.device))

    def _texts(self, template: str, names: Sequence[str]) -> Any:
        said = [template.replace(PLACE, name.replace("_", " ")) for name in names]
        kind = "max_length" if self._model.config.model_type.startswith("siglip") else True
        inputs = self._processor(text=said, return_tensors="pt", padding=kind, truncation=True)
        return self._model.get_text_features(**{key: value.to(self._loading.device) for key, value in inputs.items()})

    @staticmethod
    def _unit(output: Any) -> Any:
        """Return features of length 1; transformers 5 wraps them, 4 does not."""
        features = getattr(output, "pooler_output", output)
        return features / features.norm(dim=-1, keepdim=True)


def load(loading: Loading) -> ZeroShot:
    """Load a CLIP- or SigLIP-type model from a folder in transformers format."""
    options = loading.options(ZeroShotOptions)
    if options.temperature is None and loading.card.trust == "tested":
        raise BadInputError(f"model card {loading.card.name!r}: a tested zero-shot model needs [options] temperature")
    model = load_model(loading, "AutoModel")
    if not hasattr(model, "get_text_features"):
        raise BadInputError(
            f"model card {loading.card.name!r}: a {model.config.model_type!r} model has no words to compare with; "
            "use the runtime image_classifier or image_encoder_vision"
        )
    return ZeroShot(loading, model, load_processor(loading))
