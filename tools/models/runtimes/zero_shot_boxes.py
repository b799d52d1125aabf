"""Boxes for a phrase by zero-shot detectors in transformers format: Grounding DINO, OWL-ViT, OWLv2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tools.errors import BadInputError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import FoundBox, Grounding, Loading, Options, Progress
from tools.models.runtimes.model_pictures import one_picture
from tools.models.runtimes.transformers_folder import load_model, load_processor

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from tools.places import Position

MAX_BOXES = 10
READS_TOKENS = ("grounding-dino", "mm-grounding-dino")  # the phrase is one text; the others take a list of phrases


class BoxOptions(Options):
    """What the card says of a detector."""

    threshold: float = Field(default=0.3, ge=0, le=1)
    """The score from which a box counts as found."""
    window: Preset = "auto"


class PhraseBoxes:
    """Finds what a phrase names on one picture.

    Args:
        loading: the card and the device.
        model: a zero-shot detector of transformers.
        processor: turns picture and phrase into its inputs, and its output into boxes.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        self._loading, self._options = loading, loading.options(BoxOptions)
        self._model, self._processor = model, processor

    @property
    def operating_point(self) -> float:
        """The score from which a box counts as found."""
        return self._options.threshold

    def ground(self, volume: Volume, phrase: str, progress: Progress) -> Grounding:
        """Return at most ten boxes, best first; none when nothing reaches the threshold.

        Raises:
            BadInputError: an empty phrase, or a blank image.
            UnsupportedError: the image is a volume.
        """
        import torch

        words = " ".join(phrase.split()).rstrip(".")
        if not words:
            raise BadInputError("phrase: say in words what to look for, got an empty text")
        picture = one_picture(volume, "phrase grounding", self._options.window)
        is_token_reader = self._model.config.model_type in READS_TOKENS
        progress(0.2, f"looking for “{words}”")
        text: Any = f"{words.lower()}." if is_token_reader else [[words]]
        inputs = self._processor(images=picture, text=text, return_tensors="pt").to(self._loading.device)
        with self._loading.inference():
            output = self._model(**inputs)
        sizes = torch.tensor([[picture.height, picture.width]])
        given = {"threshold": self._options.threshold, "target_sizes": sizes.to(self._loading.device)}
        more = {"input_ids": inputs["input_ids"]} if is_token_reader else {"text_labels": text}
        found = self._processor.post_process_grounded_object_detection(output, **more, **given)[0]
        pairs = zip(found["boxes"].float().tolist(), found["scores"].float().tolist(), strict=True)
        boxes = [_box(corners, score, words, volume) for corners, score in pairs]
        best = sorted((box for box in boxes if box is not None), key=lambda box: box.score or 0.0, reverse=True)
        return Grounding(boxes=tuple(best[:MAX_BOXES]))


def _box(corners: list[float], score: float, label: str, volume: Volume) -> FoundBox | None:
    """Return a box in voxel indices, cut to the image; None where nothing of it lies inside.

    Args:
        corners: left, top, right, bottom in pixels from the picture's outer edge.
        score: of the box.
        label: the phrase.
        volume: the image; pixel (x, y) is voxel (i, j), whose centre lies at its index.
    """
    edges = (volume.shape[0], volume.shape[1])
    left, top, right, bottom = corners
    lower = [max(-0.5, min(value, edge) - 0.5) for value, edge in zip((left, top), edges, strict=True)]
    upper = [min(edge, max(value, 0.0)) - 0.5 for value, edge in zip((right, bottom), edges, strict=True)]
    if any(high <= low for low, high in zip(lower, upper, strict=True)):
        return None
    first: Position = (lower[0], lower[1], 0.0)
    last: Position = (upper[0], upper[1], 0.0)
    return FoundBox(label=label, lower=first, upper=last, score=min(1.0, max(0.0, score)))


def load(loading: Loading) -> PhraseBoxes:
    """Load a zero-shot detector from a folder in transformers format."""
    model = load_model(loading, "AutoModelForZeroShotObjectDetection")
    return PhraseBoxes(loading, model, load_processor(loading))
