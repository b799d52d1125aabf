"""Outlines by words: CLIPSeg and SAM 3 in transformers format, each slice of a volume by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Grounding, Loading, Options, Progress, Prompt
from tools.models.runtimes.model_pictures import preset_of, rgb
from tools.models.runtimes.sam_inputs import SquareProcessor
from tools.models.runtimes.slice_propagation import slice_axis
from tools.models.runtimes.transformers_folder import CONFIG, folder_of, load_model, load_processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import BoolArray, Volume

MAX_WORDS = 32
"""Tokens that SAM 3 was trained with; it pads to them."""


class TextOptions(Options):
    """What the card says of a model."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Of the sigmoid of the model's map."""
    window: Preset = "soft tissue"
    instance_threshold: float = Field(default=0.3, gt=0, lt=1)
    """SAM 3: score from which one of the objects that it finds counts; transformers' own value."""


class TextSegmenter:
    """Outlines what words name. Serves `segment` with a text prompt, and `ground`.

    Args:
        loading: the card and the device.
        likelihood: gives, for a picture (rows, columns, 3) and words, how likely each pixel is part, (rows, columns).
    """

    def __init__(self, loading: Loading, likelihood: Callable[[NDArray[np.uint8], str], Any]) -> None:
        self._options = loading.options(TextOptions)
        self._loading, self._likelihood = loading, likelihood

    @property
    def operating_point(self) -> float:
        """The value of the map from which a pixel counts as part."""
        return self._options.threshold

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        """Outline what the prompt's text names.

        Raises:
            UnsupportedError: points or a box were given.
            BadInputError: no text, or values that are no numbers.
        """
        if prompt.points or prompt.outside or prompt.box:
            raise UnsupportedError(f"model {self._loading.card.name!r} takes text as prompt, got points or a box")
        words = " ".join(prompt.text.split())
        if not words:
            raise BadInputError("prompt: say in words what to outline, got an empty text")
        axis = slice_axis(volume)
        moved = volume.array if axis == 2 else np.moveaxis(volume.array, axis, 2)
        mask = np.zeros(moved.shape[:3], bool)
        for index in range(moved.shape[2]):
            plane = moved[:, :, index]
            if plane.min() != plane.max():
                mask[:, :, index] = self._outlined(plane, volume, words)
            progress((index + 1) / moved.shape[2], f"slice {index + 1} of {moved.shape[2]}")
        return np.ascontiguousarray(np.moveaxis(mask, 2, axis))

    def ground(self, volume: Volume, phrase: str, progress: Progress) -> Grounding:
        """Return what a phrase names as a mask."""
        return Grounding(mask=self.segment_prompted(volume, Prompt(text=phrase), progress))

    def _outlined(self, plane: Any, volume: Volume, words: str) -> BoolArray:
        shown = rgb(plane.swapaxes(0, 1), preset_of(volume, self._options.window))
        with self._loading.inference():
            likely = self._likelihood(shown, words)
        return np.asarray((likely >= self._options.threshold).cpu().numpy().T)


def load(loading: Loading) -> TextSegmenter:
    """Load a CLIPSeg or SAM 3 from a folder in transformers format."""
    config = folder_of(loading.weights) / CONFIG
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type", "") if config.is_file() else ""
    return TextSegmenter(loading, _sam3(loading) if kind.startswith("sam3") else _clipseg(loading))


def _clipseg(loading: Loading) -> Callable[[NDArray[np.uint8], str], Any]:
    """One map for the words."""
    model, processor = load_model(loading, "CLIPSegForImageSegmentation"), load_processor(loading)

    def likelihood(shown: NDArray[np.uint8], words: str) -> Any:
        inputs = processor(text=[words], images=[shown], padding=True, return_tensors="pt")
        logits = model(**inputs.to(loading.device)).logits.float()
        return _grown(logits.reshape(1, 1, *logits.shape[-2:]), shown)[0].sigmoid()

    return likelihood


def _sam3(loading: Loading) -> Callable[[NDArray[np.uint8], str], Any]:
    """Every object that the words name, each with its score; a pixel is as likely as the likeliest that counts."""
    import torch

    model, words_of = load_model(loading, "Sam3Model"), load_processor(loading, "AutoTokenizer")
    pictures = SquareProcessor(folder_of(loading.weights))
    least = loading.options(TextOptions).instance_threshold

    def likelihood(shown: NDArray[np.uint8], words: str) -> Any:
        text = words_of([words], padding="max_length", max_length=MAX_WORDS, truncation=True, return_tensors="pt")
        found = model(
            pixel_values=pictures(shown)["pixel_values"].to(loading.device),
            input_ids=text["input_ids"].to(loading.device),
            attention_mask=text["attention_mask"].to(loading.device),
        )
        scores = found.pred_logits[0].sigmoid() * found.presence_logits[0].sigmoid()
        masks = found.pred_masks[0][scores > least].float().sigmoid()
        if not len(masks):
            return torch.zeros(shown.shape[:2])
        return _grown(masks[None], shown).amax(0)

    return likelihood


def _grown(maps: Any, shown: NDArray[np.uint8]) -> Any:
    """Return maps (1, n, rows, columns) on the picture's own pixels, (n, rows, columns)."""
    import torch

    return torch.nn.functional.interpolate(maps, shown.shape[:2], mode="bilinear", align_corners=False)[0]
