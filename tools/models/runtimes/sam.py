"""SAM-type models in transformers format (SAM, MedSAM, SAM-HQ, SAM 2): points and boxes, carried through volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.slices import Preset
from tools.imaging.volume import AnyArray, BoolArray
from tools.models.runtimes.base import Loading, Options, Progress, Prompt
from tools.models.runtimes.model_pictures import preset_of, rgb
from tools.models.runtimes.sam_inputs import SquareProcessor
from tools.models.runtimes.slice_propagation import SlicePrompt, carry
from tools.models.runtimes.transformers_folder import folder_of, load_model, load_processor

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

FIRST_GENERATION = ("sam", "sam_hq")  # one level of nesting fewer in their prompts than those that came later


class SamOptions(Options):
    """What the card says of a SAM-type model."""

    window: Preset = "soft tissue"
    """How HU become gray; other values from their 0.5th to their 99.5th percentile."""
    min_quality: float = Field(default=0.5, ge=0, le=1)
    """The model's own estimate of its overlap with the truth, below which a slice is not believed."""


class SamSegmenter:
    """Outlines what points or a box mark.

    Args:
        loading: the card, which names the kinds of prompt, and the device.
        model: of transformers.
        processor: turns picture and prompt into its inputs, in the Pillow variant.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        self._loading, self._options = loading, loading.options(SamOptions)
        self._model, self._processor = model, processor

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        """Outline what a prompt points at; a volume is done slice by slice from the prompt.

        Raises:
            UnsupportedError: the prompt is of a kind that the model does not take.
            BadInputError: it lies outside the image, or the image is blank.
        """
        self._require_taken(prompt)
        preset = preset_of(volume, self._options.window)
        return carry(_OnSlices(self, preset), volume, prompt, progress, self._options.min_quality)

    def _require_taken(self, prompt: Prompt) -> None:
        takes = self._loading.card.prompts or ("points", "box")
        given = {
            "points": bool(prompt.points or prompt.outside),
            "box": prompt.box is not None,
            "text": bool(prompt.text),
        }
        for kind, is_given in given.items():
            if is_given and kind not in takes:
                raise UnsupportedError(
                    f"model {self._loading.card.name!r} takes {' or '.join(takes)} as prompt, got {kind}"
                )

    def outline(self, plane: AnyArray, prompt: SlicePrompt, preset: Preset) -> tuple[BoolArray, float]:
        """Outline one slice, axes (x, y); see SliceSegmenter."""
        picture = rgb(plane.swapaxes(0, 1), preset)
        inputs = self._processor(images=picture, return_tensors="pt", **self._prompts(prompt))
        sizes = inputs.pop("original_sizes")
        reshaped = inputs.pop("reshaped_input_sizes", None)
        is_vague = len(prompt.inside) == 1 and not prompt.outside and prompt.box is None
        tensors = {key: self._cast(value) for key, value in inputs.items()}
        with self._loading.inference():
            output = self._model(**tensors, multimask_output=is_vague)
        after = (sizes,) if reshaped is None else (sizes, reshaped)
        masks = self._processor.post_process_masks(output.pred_masks.float().cpu(), *after)[0][0]
        scores = output.iou_scores.float().cpu()[0, 0]
        best = int(scores.argmax())
        outline: BoolArray = masks[best].numpy().astype(bool).T
        return outline, min(1.0, max(0.0, float(scores[best])))

    def _cast(self, value: Any) -> Any:
        moved = value.to(self._loading.device)
        return moved.float() if moved.is_floating_point() else moved

    def _prompts(self, prompt: SlicePrompt) -> dict[str, Any]:
        points = [[float(x), float(y)] for x, y in (*prompt.inside, *prompt.outside)]
        labels = [1] * len(prompt.inside) + [0] * len(prompt.outside)
        given: dict[str, Any] = {}
        is_first = self._model.config.model_type in FIRST_GENERATION
        if points:
            given["input_points"] = [points] if is_first else [[points]]
            given["input_labels"] = [labels] if is_first else [[labels]]
        if prompt.box:
            given["input_boxes"] = [[[*map(float, prompt.box[0]), *map(float, prompt.box[1])]]]
        return given


class _OnSlices:
    """A segmenter of slices with one window."""

    def __init__(self, model: SamSegmenter, preset: Preset) -> None:
        self._model, self._preset = model, preset

    def outline(self, plane: AnyArray, prompt: SlicePrompt) -> tuple[BoolArray, float]:
        if plane.min() == plane.max():
            import numpy as np

            return np.zeros(plane.shape[:2], bool), 0.0  # a blank slice at the end of a volume holds nothing
        return self._model.outline(plane, prompt, self._preset)


def load(loading: Loading) -> SamSegmenter:
    """Load a SAM-type model from a folder in transformers format."""
    if "text" in loading.card.prompts:
        raise BadInputError(f"model card {loading.card.name!r}: runtime sam takes points and box; use text_segmenter")
    model = load_model(loading, "AutoModelForMaskGeneration")
    first = model.config.model_type in FIRST_GENERATION
    return SamSegmenter(
        loading, model, load_processor(loading) if first else SquareProcessor(folder_of(loading.weights))
    )
