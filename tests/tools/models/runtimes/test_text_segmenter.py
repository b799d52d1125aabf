"""Outlines by words, tried with a tiny CLIPSeg of random weights that the test makes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.models.runtimes.tiny_models import SMALL, film, loading, prepare, quiet, words
from tools.errors import BadInputError, UnsupportedError
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Prompt
from tools.models.runtimes.text_segmenter import load

WORDS = ["<pad>", "<unk>", "<end>", "bright", "block", "liver"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("clipseg")
    text = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 2, "pad_token_id": 0}
    config = CLIPSegConfig(
        text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=12,
        extract_layers=[0, 1], reduce_dim=8, decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(made)
    prepare(made, "ViTImageProcessor", 32)
    return words(made, WORDS, template="$A <end>", model_max_length=16)


def straight(folder: Path, plane: np.ndarray) -> np.ndarray:
    """The sigmoid that transformers gives, at the size of the plane (x, y)."""
    from transformers import AutoTokenizer, CLIPSegForImageSegmentation, ViTImageProcessorPil

    model = CLIPSegForImageSegmentation.from_pretrained(folder).eval()
    picture = Image.fromarray(np.repeat(plane.T[..., None], 3, axis=2))
    pixels = ViTImageProcessorPil.from_pretrained(folder)(images=picture, return_tensors="pt")["pixel_values"]
    text = AutoTokenizer.from_pretrained(folder)(["bright block"], return_tensors="pt")
    ids = {"input_ids": text["input_ids"], "attention_mask": text["attention_mask"]}
    with torch.inference_mode():
        logits = model(pixel_values=pixels, **ids).logits.reshape(1, 1, 32, 32)
    grown = torch.nn.functional.interpolate(logits, (plane.shape[1], plane.shape[0]), mode="bilinear")
    return grown[0, 0].sigmoid().numpy().T


def test_the_outline_is_the_models_own_on_the_images_grid(folder: Path) -> None:
    expected = straight(folder, film().array[:, :, 0])
    middle = float(np.median(expected))
    runtime = load(loading(folder, verb="segment", options={"threshold": middle}))
    mask = runtime.segment_prompted(film(), Prompt(text=" bright  block"), quiet)
    assert mask.shape == (50, 40, 1)
    assert (mask[:, :, 0] == (expected >= middle)).mean() > 0.999
    assert 0.4 < mask.mean() < 0.6
    grounded = runtime.ground(film(), "bright block", quiet)
    assert grounded.mask is not None
    assert (grounded.mask == mask).all()


def test_slices_across_the_thick_axis_are_outlined_one_by_one(folder: Path) -> None:
    array = np.random.default_rng(2).integers(0, 255, (3, 24, 20)).astype(np.uint8)
    array[1] = 7  # a blank slice
    volume = Volume(array, np.diag([5.0, 1.0, 1.0, 1.0]), spacing_source="NIfTI header", modality="MR")
    middle = float(np.median(straight(folder, array[0])))
    mask = load(loading(folder, options={"threshold": middle})).segment_prompted(
        volume, Prompt(text="bright block"), quiet
    )
    assert mask.shape == array.shape
    assert not mask[1].any()
    assert (mask[0] == (straight(folder, array[0]) >= middle)).mean() > 0.999


def test_only_words_are_taken(folder: Path) -> None:
    runtime = load(loading(folder))
    with pytest.raises(UnsupportedError, match="model 'tiny' takes text as prompt, got points or a box"):
        runtime.segment_prompted(film(), Prompt(points=((1, 1, 0),), text="x"), quiet)
    with pytest.raises(BadInputError, match="say in words what to outline"):
        runtime.segment_prompted(film(), Prompt(), quiet)


@pytest.fixture(scope="module")
def concepts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM 3 of 250,000 random weights."""
    from transformers import Sam3Config, Sam3Model

    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("sam3")
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    backbone = {
        **small, "model_type": "sam3_vit_model", "num_hidden_layers": 2, "image_size": 112, "patch_size": 14,
        "window_size": 4, "pretrain_image_size": 56, "global_attn_indexes": [1],
    }  # fmt: skip
    text = {
        **small, "model_type": "clip_text_model", "vocab_size": len(WORDS), "projection_dim": 16,
        "num_hidden_layers": 2, "max_position_embeddings": 32, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1,
    }  # fmt: skip
    sizes = [[32, 32], [16, 16], [8, 8]]
    config = Sam3Config(
        vision_config={"backbone_config": backbone, "fpn_hidden_size": 32, "backbone_feature_sizes": sizes},
        text_config=text, geometry_encoder_config={**small, "num_layers": 1},
        detr_encoder_config={**small, "num_layers": 1},
        detr_decoder_config={**small, "num_layers": 1, "num_queries": 5},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )  # fmt: skip
    Sam3Model(config).save_pretrained(made)
    prepare(made, "ViTImageProcessor", 112)
    return words(made, WORDS, template="$A <end>", model_max_length=32)


def likeliest(folder: Path, plane: np.ndarray) -> np.ndarray:
    """What the network gives for the likeliest of its objects, at the size of the plane (x, y)."""
    from transformers import AutoTokenizer, Sam3Model

    model = Sam3Model.from_pretrained(folder).eval()
    picture = torch.from_numpy(np.repeat(plane.T[None], 3, axis=0)).float()[None]
    scaled = torch.nn.functional.interpolate(picture, (112, 112), mode="bilinear", antialias=True).round() / 255
    text = AutoTokenizer.from_pretrained(folder)(["bright block"], padding="max_length", max_length=32)
    ids = {name: torch.tensor(text[name]) for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        masks = model(pixel_values=(scaled - 0.5) / 0.25, **ids).pred_masks.sigmoid()
    grown = torch.nn.functional.interpolate(masks, (plane.shape[1], plane.shape[0]), mode="bilinear")
    return grown[0].amax(0).numpy().T


def test_the_objects_that_count_are_outlined_together(concepts: Path) -> None:
    expected = likeliest(concepts, film().array[:, :, 0])
    middle = float(np.median(expected))
    options = {"threshold": middle, "instance_threshold": 0.2}  # random weights give scores of about 0.25
    mask = load(loading(concepts, options=options)).segment_prompted(film(), Prompt(text="bright block"), quiet)
    assert (mask[:, :, 0] == (expected >= middle)).mean() > 0.99
    assert 0.4 < mask.mean() < 0.6


def test_where_no_object_counts_nothing_is_outlined(concepts: Path) -> None:
    options = {"threshold": 0.01, "instance_threshold": 0.3}
    mask = load(loading(concepts, options=options)).segment_prompted(film(), Prompt(text="bright block"), quiet)
    assert not mask.any()
