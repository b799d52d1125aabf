"""BiomedCLIP's file layout with small towers, held against a BERT of transformers and numbers that timm gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.models.runtimes.tiny_models import film, loading, quiet
from tools.errors import UnavailableError
from tools.models.runtimes.open_clip_folder import load

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "chest", "x-ray", "showing", "without", "effusion",
              "pneumothorax", "lung", "mass")  # fmt: skip
SAID = ["a chest x-ray showing effusion", "a chest x-ray without lung mass"]
VISION = {"timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "timm_pool": ""}
TEXT = {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "hf_proj_type": "mlp"}
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": VISION | {"timm_proj": "linear", "image_size": 32},
        "text_cfg": TEXT | {"hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 16},
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
}
FROM_TIMM = (0.5962156, 1.2376304, -0.3046767, -1.3094006)
"""Features of `WAVES` as timm 1.0.31 gave them: create_model("vit_tiny_patch16_224", img_size=32, embed_dim=64,
depth=2, num_heads=1, num_classes=0) with the weights of `vision_state`, its
output times head.proj; the first four of eight."""
WAVES = np.float32(np.sin(np.arange(3 * 32 * 32) * 0.1)).reshape(1, 3, 32, 32)


def waves(seed: int, *shape: int) -> torch.Tensor:
    """Numbers that need no generator, so that another program can make the same."""
    return torch.sin(torch.arange(int(np.prod(shape)), dtype=torch.float64) * 0.37 + seed).float().reshape(shape) * 0.2


def vision_state() -> dict[str, torch.Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "trunk.cls_token": (1, 1, 64), "trunk.pos_embed": (1, 5, 64), "trunk.patch_embed.proj.weight": (64, 3, 16, 16),
        "trunk.patch_embed.proj.bias": (64,), "trunk.norm.weight": (64,), "trunk.norm.bias": (64,),
        "head.proj.weight": (8, 64),
    }  # fmt: skip
    for block in ("trunk.blocks.0", "trunk.blocks.1"):
        for name, out, inside in (
            ("attn.qkv", 192, 64),
            ("attn.proj", 64, 64),
            ("mlp.fc1", 256, 64),
            ("mlp.fc2", 64, 256),
        ):
            shapes |= {f"{block}.{name}.weight": (out, inside), f"{block}.{name}.bias": (out,)}
        shapes |= {f"{block}.{norm}.{part}": (64,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    return {name: waves(seed, *shape) for seed, (name, shape) in enumerate(shapes.items())}


def bert() -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 96}
    return BertModel(BertConfig(vocab_size=len(VOCABULARY), **size), add_pooling_layer=False).eval()


def text_state() -> dict[str, torch.Tensor]:
    inner = {f"transformer.{name}": value for name, value in bert().state_dict().items()}
    return inner | {"proj.0.weight": waves(70, 36, 64), "proj.2.weight": waves(71, 8, 36)}


def write(folder: Path, config: object = CONFIG, **changed: torch.Tensor) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    state = {f"visual.{name}": value for name, value in vision_state().items()}
    state |= {f"text.{name}": value for name, value in text_state().items()}
    torch.save(state | {"logit_scale": torch.tensor(4.0)} | changed, folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(VOCABULARY)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def opened(folder: Path, **given: Any) -> Any:
    return load(loading(folder, targets=("effusion", "lung_mass"), **given))


def test_pictures_are_seen_as_timm_sees_them(tmp_path: Path) -> None:
    model = opened(write(tmp_path))._model
    with torch.inference_mode():
        found = model.get_image_features(torch.from_numpy(WAVES))
    assert found.shape == (1, 8)
    assert found[0, :4].tolist() == pytest.approx(FROM_TIMM, abs=1e-5)


def test_words_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    runtime = opened(write(tmp_path))
    inputs = runtime._processor(text=SAID)
    assert inputs["input_ids"].tolist() == [[2, 5, 6, 7, 8, 10, 3, 0], [2, 5, 6, 7, 9, 12, 13, 3]]
    with torch.inference_mode():
        first = bert()(**inputs).last_hidden_state[:, 0]
        expected = torch.nn.functional.gelu(first @ waves(70, 36, 64).T) @ waves(71, 8, 36).T
        found = runtime._model.get_text_features(**inputs)
    assert found.flatten().tolist() == pytest.approx(expected.flatten().tolist(), abs=1e-5)


def test_a_film_is_scored_against_phrases(tmp_path: Path) -> None:
    runtime = opened(write(tmp_path), options={"temperature": 0.05, "operating_point": 0.6})
    rows = runtime.classify(film(), (), quiet)
    model, processor = runtime._model, runtime._processor
    pixels = processor(images=Image.fromarray(np.repeat(film().array[:, :, 0].T[..., None], 3, 2)))["pixel_values"]
    assert pixels.shape == (1, 3, 32, 32)
    said = [f"a chest x-ray {how} {what}" for how in ("showing", "without") for what in ("effusion", "lung mass")]
    with torch.inference_mode():
        image = torch.nn.functional.normalize(model.get_image_features(pixels))
        texts = torch.nn.functional.normalize(model.get_text_features(**processor(text=said)))
    cosines = (texts @ image.T)[:, 0]
    expected = torch.sigmoid((cosines[:2] - cosines[2:]) / 0.05)
    assert [row.label for row in rows] == ["effusion", "lung_mass"]
    assert [row.score for row in rows] == pytest.approx(expected.tolist(), abs=1e-4)


def test_safetensors_and_older_files_give_the_same(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    older = write(tmp_path, **{"text.transformer.embeddings.position_ids": torch.arange(512)[None]})
    expected = [row.score for row in opened(older).classify(film(), (), quiet)]
    state = torch.load(older / "open_clip_pytorch_model.bin", weights_only=True)
    save_file(state, tmp_path / "open_clip_model.safetensors")
    assert "logit_scale" in load_file(tmp_path / "open_clip_model.safetensors")
    (older / "open_clip_pytorch_model.bin").unlink()
    assert [row.score for row in opened(tmp_path).classify(film(), (), quiet)] == expected


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("vision_cfg", "timm_model_name", "swin_base", "vision_cfg.timm_model_name .* got 'swin_base'"),
        ("text_cfg", "hf_pooler_type", "mean_pooler", "text_cfg.hf_pooler_type"),
        ("vision_cfg", "image_size", 64, "the weights do not fit the network"),
    ],
)
def test_other_kinds_of_model_are_refused(tmp_path: Path, part: str, key: str, value: object, said: str) -> None:
    model = CONFIG["model_cfg"]
    config = CONFIG | {"model_cfg": model | {part: model[part] | {key: value}}}
    with pytest.raises(UnavailableError, match=said):
        opened(write(tmp_path, config))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("open_clip_config.json", "open_clip_config.json .* could not be read"),
        ("tokenizer.json", "tokenizer.json .* could not be read"),
        ("open_clip_pytorch_model.bin", "holds none of open_clip_model.safetensors"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, name: str, said: str) -> None:
    (write(tmp_path) / name).unlink()
    with pytest.raises(UnavailableError, match=said):
        opened(tmp_path)


def test_a_weight_too_much_or_too_few_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"do not fit the network .*trunk\.blocks\.0\.ls1"):
        opened(write(tmp_path, **{"visual.trunk.blocks.0.ls1.gamma": torch.ones(64)}))
