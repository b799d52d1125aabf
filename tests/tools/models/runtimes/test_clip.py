from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tools.models.runtimes.tiny_models import SMALL, film, loading, prepare, quiet, words
from tools.errors import BadInputError
from tools.models.runtimes.clip import load

WORDS = [
    "<pad>",
    "<unk>",
    "<end>",
    "a",
    "chest",
    "x-ray",
    "showing",
    "without",
    "effusion",
    "pneumothorax",
    "lung",
    "mass",
]
TARGETS = ("effusion", "lung_mass")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    text = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 2, "pad_token_id": 0}
    config = CLIPConfig(text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=12)
    CLIPModel(config).save_pretrained(tmp_path)
    prepare(tmp_path, "CLIPImageProcessor", crop_size={"height": 32, "width": 32}, do_center_crop=False)
    (tmp_path / "processor_config.json").unlink(missing_ok=True)
    return words(tmp_path, WORDS, template="$A <end>", tokenizer_class="PreTrainedTokenizerFast", model_max_length=16)


def cosines(folder: Path, said: list[str]) -> torch.Tensor:
    """What transformers gives for the picture and phrases, without our code."""
    import numpy as np
    from PIL import Image
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    picture = Image.fromarray(np.repeat(film().array[:, :, 0].T[..., None], 3, axis=2))
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=picture, return_tensors="pt")["pixel_values"]
    text = AutoTokenizer.from_pretrained(folder)(said, return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = model(input_ids=text["input_ids"], attention_mask=text["attention_mask"], pixel_values=pixels)
    return (out.text_embeds @ out.image_embeds.T)[:, 0]


def test_each_label_is_scored_against_its_absence(folder: Path) -> None:
    options = {"temperature": 0.05, "bias": 0.01, "operating_point": 0.6, "operating_points": {"lung_mass": 0.7}}
    rows = load(loading(folder, targets=TARGETS, options=options)).classify(film(), (), quiet)

    names = ("effusion", "lung mass")
    found = cosines(folder, [f"a chest x-ray {how} {name}" for how in ("showing", "without") for name in names])
    expected = torch.sigmoid((found[:2] - found[2:] + 0.01) / 0.05)
    assert [row.label for row in rows] == list(TARGETS)
    assert [row.score for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [row.operating_point for row in rows] == [0.6, 0.7]


def test_scores_do_not_add_up_to_one_so_none_of_these_is_an_answer(folder: Path) -> None:
    options = {"temperature": 0.01, "bias": -1.0}
    rows = load(loading(folder, targets=TARGETS, options=options)).classify(film(), (), quiet)
    assert all(row.score < 0.01 for row in rows)
    assert not any(row.above for row in rows)


def test_without_a_temperature_the_models_own_scale_is_used(folder: Path) -> None:
    from transformers import CLIPModel

    scale = float(CLIPModel.from_pretrained(folder).logit_scale.detach().exp())
    runtime = load(loading(folder, targets=TARGETS))
    found = cosines(folder, ["a chest x-ray showing effusion", "a chest x-ray without effusion"])
    row = runtime.classify(film(), ("effusion",), quiet)[0]
    assert row.score == pytest.approx(float(torch.sigmoid((found[0] - found[1]) * scale)), abs=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"options": {"with_label": "no place"}}, r"\[options\].*with_label must hold '\{label\}'"),
        ({"options": {"temperature": 0}}, r"\[options\] temperature"),
        ({"trust": "tested"}, "a tested zero-shot model needs"),
    ],
)
def test_a_wrong_card_is_refused(folder: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        load(loading(folder, targets=TARGETS, **given))


def test_a_model_without_words_is_refused(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    Dinov2Model(
        Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28)
    ).save_pretrained(tmp_path)
    with pytest.raises(BadInputError, match="a 'dinov2' model has no words to compare with"):
        load(loading(tmp_path, targets=TARGETS))
