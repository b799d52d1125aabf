"""Vision-language models in transformers format (LLaVA, Qwen-VL, PaliGemma, Idefics, …): answers and report drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tools.errors import BadInputError
from tools.imaging.montage import montage
from tools.imaging.slices import Preset
from tools.models.runtimes.base import Loading, Options, Progress
from tools.models.runtimes.transformers_folder import load_model, load_processor

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

PLACE = "{question}"


class AnswerOptions(Options):
    """What the card says of a vision-language model."""

    template: str = ""
    """The prompt around {question}, with the model's own image token, where its folder has no chat template."""
    instruction: str = ""
    """What the model is told before the question, such as its publisher's words for report drafts."""
    max_new_tokens: int = Field(default=256, ge=1, le=4096)
    window: Preset | None = None
    """How HU become gray; None chooses by what is shown."""

    @model_validator(mode="after")
    def _has_place(self) -> AnswerOptions:
        if self.template and PLACE not in self.template:
            raise ValueError(f"template must hold {PLACE!r}")
        return self


class VisionLanguage:
    """Answers questions about an image in words; of a volume it sees a montage of slices.

    Args:
        loading: the card and the device.
        model: generates tokens.
        processor: turns picture and words into its inputs, and tokens into words.
    """

    def __init__(self, loading: Loading, model: Any, processor: Any) -> None:
        self._loading, self._options = loading, loading.options(AnswerOptions)
        self._model, self._processor = model, processor
        if not self._options.template and not getattr(processor, "chat_template", None):
            raise BadInputError(
                f"model card {loading.card.name!r}: its folder has no chat template, so [options] "
                "template must be given"
            )

    def answer(self, volume: Volume, question: str, progress: Progress) -> str:
        """Answer by greedy decoding: the same question gets the same answer.

        Raises:
            BadInputError: an empty question, or a blank image.
        """
        if not question.strip():
            raise BadInputError("question: ask something, got an empty text")
        picture, _ = montage(volume, self._options.window)
        progress(0.1, "reading the picture")
        prompt = self._prompt(question.strip())
        inputs = self._processor(images=[picture], text=[prompt], return_tensors="pt").to(self._loading.device)
        progress(0.2, "writing")
        with self._loading.inference():
            tokens = self._model.generate(
                **inputs, do_sample=False, num_beams=1, max_new_tokens=self._options.max_new_tokens
            )
        new = tokens[0] if self._model.config.is_encoder_decoder else tokens[0, inputs["input_ids"].shape[1] :]
        text = " ".join(self._tokenizer.decode(new, skip_special_tokens=True).split())
        return text or "(the model gave no words)"

    @property
    def _tokenizer(self) -> Any:
        return self._processor.tokenizer

    def _prompt(self, question: str) -> str:
        asked = f"{self._options.instruction}\n{question}" if self._options.instruction else question
        if self._options.template:
            return self._options.template.replace(PLACE, asked)
        content = [{"type": "image"}, {"type": "text", "text": asked}]
        messages = [{"role": "user", "content": content}]
        return str(self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def load(loading: Loading) -> VisionLanguage:
    """Load a vision-language model from a folder in transformers format."""
    model = load_model(loading, "AutoModelForImageTextToText")
    return VisionLanguage(loading, model, load_processor(loading))
