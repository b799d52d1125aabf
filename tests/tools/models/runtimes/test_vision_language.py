"""Vision-language answers, tried with a tiny LLaVA of random weights that the test makes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.models.runtimes.tiny_models import SMALL, film, loading, prepare, quiet, words
from tools.errors import BadInputError
from tools.imaging.montage import montage
from tools.imaging.volume import Volume
from tools.models.runtimes.vision_language import load

WORDS = [
    "<pad>",
    "<unk>",
    "<end>",
    "<image>",
    "what",
    "is",
    "shown",
    "the",
    "heart",
    "lung",
    "large",
    "USER:",
    "ASSISTANT:",
]
TEMPLATE = (
    "{% for m in messages %}USER: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> {% else %}"
    "{{ c['text'] }} {% endif %}{% endfor %}ASSISTANT: {% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import (
        AutoTokenizer,
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("llava")
    vision = CLIPVisionConfig(**SMALL, image_size=32, patch_size=16)
    text = LlamaConfig(
        **SMALL, vocab_size=len(WORDS), max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=3, vision_feature_layer=-1)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.suppress_tokens = [0, 1, 2, 3]  # random weights would end before the first word
    model.save_pretrained(made)
    words(made, WORDS, extra_special_tokens={"image_token": "<image>"})
    prepare(made, "CLIPImageProcessor", 32, do_center_crop=False)
    processor = LlavaProcessor(
        CLIPImageProcessorPil.from_pretrained(made),
        AutoTokenizer.from_pretrained(made),
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(made)
    return made


def straight(folder: Path, volume: Volume, asked: str, count: int) -> str:
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    processor = AutoProcessor.from_pretrained(folder, backend="pil")
    model = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    prompt = f"USER: <image> {asked} ASSISTANT: "
    inputs = processor(images=[montage(volume).picture], text=[prompt], return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=count)
    return processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_the_answer_is_the_models_own_and_always_the_same(folder: Path) -> None:
    runtime = load(loading(folder, options={"max_new_tokens": 6}))
    said = runtime.answer(film(), "what is shown", quiet)
    assert said == straight(folder, film(), "what is shown", 6)
    assert len(said.split()) >= 2
    assert runtime.answer(film(), " what is shown ", quiet) == said


def test_an_instruction_goes_before_the_question(folder: Path) -> None:
    runtime = load(loading(folder, options={"max_new_tokens": 4, "instruction": "the heart"}))
    assert runtime.answer(film(), "is large", quiet) == straight(folder, film(), "the heart\nis large", 4)


def test_of_a_volume_it_sees_a_montage(folder: Path) -> None:
    array = np.random.default_rng(0).integers(0, 99, (20, 24, 12)).astype(np.int16)
    volume = Volume(array, np.diag([2.0, 2.0, 3.0, 1.0]), spacing_source="NIfTI header", modality="MR")
    said = load(loading(folder, options={"max_new_tokens": 5})).answer(volume, "what is shown", quiet)
    assert said == straight(folder, volume, "what is shown", 5)


def test_what_cannot_be_asked_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="question: ask something"):
        load(loading(folder)).answer(film(), "  ", quiet)
    with pytest.raises(BadInputError, match=r"\[options\].*template must hold '\{question\}'"):
        load(loading(folder, options={"template": "no place"}))
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(BadInputError, match=r"no chat template, so \[options\] template must be given"):
        load(loading(bare))
    templated = load(loading(bare, options={"template": "USER: <image> {question} ASSISTANT: ", "max_new_tokens": 6}))
    assert templated.answer(film(), "what is shown", quiet) == straight(folder, film(), "what is shown", 6)
