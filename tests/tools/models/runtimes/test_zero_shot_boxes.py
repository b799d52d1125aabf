"""Phrase grounding, tried with tiny detectors of random weights that the test makes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.models.runtimes.tiny_models import SMALL, film, loading, prepare, quiet, words
from tools.errors import BadInputError
from tools.models.runtimes.zero_shot_boxes import load

WORDS = ["<pad>", "<unk>", "<end>", "opacity", "left", "lower", "zone"]


@pytest.fixture(scope="module")
def owl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import OwlViTConfig, OwlViTForObjectDetection

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("owl")
    text = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 2, "pad_token_id": 0}
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    model = OwlViTForObjectDetection(OwlViTConfig(text_config=text, vision_config=vision, projection_dim=16))
    with torch.no_grad():
        model.box_head.dense2.weight.mul_(0.1)  # boxes near their patches, so that they lie inside the picture
    model.save_pretrained(folder)
    prepare(folder, "OwlViTImageProcessor", 32, do_center_crop=False)
    return words(folder, WORDS, template="$A <end>", model_max_length=16)


def straight(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from transformers import AutoTokenizer, OwlViTForObjectDetection, OwlViTImageProcessorPil, OwlViTProcessor

    processor = OwlViTProcessor(OwlViTImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    model = OwlViTForObjectDetection.from_pretrained(folder).eval()
    picture = Image.fromarray(np.repeat(film().array[:, :, 0].T[..., None], 3, axis=2))
    inputs = processor(text=[["left opacity"]], images=picture, return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs)
    scores = output.logits[0, :, 0].sigmoid()
    x, y, width, height = output.pred_boxes[0].unbind(-1)
    corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)
    order = scores.argsort(descending=True)
    return (corners * torch.tensor([50.0, 40.0, 50.0, 40.0]))[order].numpy(), scores[order].numpy()


def test_boxes_are_the_models_own_in_voxels(owl: Path) -> None:
    found = load(loading(owl, options={"threshold": 0.0})).ground(film(), "left opacity", quiet)

    corners, scores = straight(owl)
    inside = [n for n in range(len(corners)) if (corners[n, 2:] > 0).all() and (corners[n, :2] < [50, 40]).all()][:10]
    assert len(found.boxes) == len(inside) > 3
    for box, place in zip(found.boxes, inside, strict=True):
        left, top, right, bottom = corners[place]
        assert box.label == "left opacity"
        assert box.score == pytest.approx(scores[place], abs=1e-4)
        # a pixel's centre lies at its index, its edge half a pixel before
        assert box.lower == pytest.approx((max(left, 0) - 0.5, max(top, 0) - 0.5, 0.0), abs=2e-3)
        assert box.upper == pytest.approx((min(right, 50) - 0.5, min(bottom, 40) - 0.5, 0.0), abs=2e-3)


def test_nothing_above_the_threshold_is_nothing(owl: Path) -> None:
    runtime = load(loading(owl, options={"threshold": 1.0}))
    assert runtime.ground(film(), "left opacity", quiet).boxes == ()
    assert runtime.operating_point == 1.0


def test_an_empty_phrase_is_refused(owl: Path) -> None:
    with pytest.raises(BadInputError, match="phrase: say in words what to look for"):
        load(loading(owl)).ground(film(), " . ", quiet)


def test_grounding_dino_reads_the_phrase_as_one_text(tmp_path: Path) -> None:
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    torch.manual_seed(0)
    swin = SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2, image_size=64,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    bert = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=1100)
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=6,
        disable_custom_kernels=True, max_text_len=16,
    )  # fmt: skip
    model = GroundingDinoForObjectDetection(config)
    model.save_pretrained(tmp_path)
    prepare(tmp_path, "GroundingDinoImageProcessor", 256)
    words(tmp_path, WORDS)

    found = load(loading(tmp_path, options={"threshold": 0.0})).ground(film(), "Left opacity.", quiet)

    assert 0 < len(found.boxes) <= 6
    for box in found.boxes:
        assert box.label == "Left opacity"
        assert 0 <= (box.score or 0) <= 1
        assert all(
            -0.5 <= low <= high <= n - 0.5 for low, high, n in zip(box.lower[:2], box.upper[:2], (50, 40), strict=True)
        )
