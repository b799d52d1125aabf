"""Outlines by words: CLIPSeg-type models in transformers format, each slice of a volume by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Grounding, Loading, Options, Progress, Prompt
from tools.models.runtimes.model_pictures import preset_of, rgb
from tools.models.runtimes.slice_propagation import slice_axis
from tools.models.runtimes.transformers_folder import load_model, load_processor

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume


class TextOptions(Options):
    """What the card says of a model."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Of the sigmoid of the model's map."""
    window: Preset = "soft tissue"


class TextSegmenter:
    """Outlines what words name. Serves `segment` with a text prompt, and `ground`.

    Args:
        loading: the card and the device.
        model: gives a map of logits for a picture and words.
        processor: turns both into its inputs.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        self._loading, self._options = loading, loading.options(TextOptions)
        self._model, self._processor = model, processor

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
        import torch

        shown = rgb(plane.swapaxes(0, 1), preset_of(volume, self._options.window))
        inputs = self._processor(text=[words], images=[shown], padding=True, return_tensors="pt")
        with self._loading.inference():
            logits = self._model(**inputs.to(self._loading.device)).logits.float()
        size = shown.shape[:2]
        grown = torch.nn.functional.interpolate(logits.reshape(1, 1, *logits.shape[-2:]), size, mode="bilinear")
        return np.asarray((grown[0, 0].sigmoid() >= self._options.threshold).cpu().numpy().T)


def load(loading: Loading) -> TextSegmenter:
    """Load a CLIPSeg-type model from a folder in transformers format."""
    return TextSegmenter(loading, load_model(loading, "CLIPSegForImageSegmentation"), load_processor(loading))
