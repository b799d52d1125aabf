"""SAM-type models, tried with a tiny SAM of random weights that the test makes itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.models.runtimes.tiny_models import film, loading, quiet
from tools.errors import BadInputError, UnsupportedError
from tools.models.runtimes.base import Prompt
from tools.models.runtimes.sam import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import SamConfig, SamImageProcessorPil, SamModel, SamProcessor

    torch.manual_seed(1)
    made = tmp_path_factory.mktemp("sam")
    vision = {
        "hidden_size": 16, "output_channels": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 8, "mlp_dim": 16, "window_size": 4, "global_attn_indexes": [1], "num_pos_feats": 4,
    }  # fmt: skip
    prompts = {"hidden_size": 8, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
    decoder = {"hidden_size": 8, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 8}
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    SamModel(config).save_pretrained(made)
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    low = {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    SamProcessor(SamImageProcessorPil(**sizes, **low)).save_pretrained(made)
    return made


def straight(folder: Path, **given: object) -> np.ndarray:
    """What transformers gives for the same picture and prompt, without our code; axes (x, y)."""
    from transformers import SamModel, SamProcessor

    processor = SamProcessor.from_pretrained(folder, backend="pil")
    model = SamModel.from_pretrained(folder).eval()
    many = bool(given.pop("many", False))
    rgb = np.repeat(film().array[:, :, 0].T[..., None], 3, axis=2)
    inputs = processor(images=rgb, return_tensors="pt", **given)
    sizes, reshaped = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    cast = {key: value.float() if value.is_floating_point() else value for key, value in inputs.items()}
    with torch.inference_mode():
        output = model(**cast, multimask_output=many)
    best = int(output.iou_scores[0, 0].argmax())
    return processor.post_process_masks(output.pred_masks, sizes, reshaped)[0][0, best].numpy().T


SURE = {"verb": "segment", "options": {"min_quality": 0.0}}


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        (Prompt(box=((5, 8, 0), (30, 30, 0))), {"input_boxes": [[[5.0, 8.0, 30.0, 30.0]]]}),
        (
            Prompt(points=((10, 20, 0),), outside=((40, 3, 0),)),
            {"input_points": [[[10.0, 20.0], [40.0, 3.0]]], "input_labels": [[1, 0]]},
        ),
        (Prompt(points=((10, 20, 0),)), {"input_points": [[[10.0, 20.0]]], "input_labels": [[1]], "many": True}),
    ],
)
def test_the_outline_is_the_models_own_on_the_images_grid(
    folder: Path, prompt: Prompt, given: dict[str, object]
) -> None:
    mask = load(loading(folder, **SURE)).segment_prompted(film(), prompt, quiet)

    expected = straight(folder, **given)
    assert expected.any()
    assert not expected.all()
    assert mask.shape == film().shape
    assert mask.dtype == np.bool_
    assert (mask[:, :, 0] == expected).all()


def test_an_outline_that_the_model_doubts_is_not_given(folder: Path) -> None:
    sure = load(loading(folder, verb="segment", options={"min_quality": 1.0}))
    assert not sure.segment_prompted(film(), Prompt(box=((5, 8, 0), (30, 30, 0))), quiet).any()


def test_a_prompt_that_the_card_does_not_take_is_refused(folder: Path) -> None:
    boxes_only = load(loading(folder, **SURE, prompts=("box",)))
    with pytest.raises(UnsupportedError, match="model 'tiny' takes box as prompt, got points"):
        boxes_only.segment_prompted(film(), Prompt(points=((1, 1, 0),)), quiet)
    with pytest.raises(UnsupportedError, match="takes points or box as prompt, got text"):
        load(loading(folder, **SURE)).segment_prompted(film(), Prompt(text="liver"), quiet)


def test_a_blank_image_holds_nothing(folder: Path) -> None:
    blank = replace(film(), array=np.full((50, 40, 1), 3, np.uint8))
    mask = load(loading(folder, **SURE)).segment_prompted(blank, Prompt(points=((1, 1, 0),)), quiet)
    assert not mask.any()


def test_a_point_outside_is_named(folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"the point \(50, 3, 0\) lies outside the image of 50 × 40 × 1 voxels"):
        load(loading(folder, **SURE)).segment_prompted(film(), Prompt(points=((50, 3, 0),)), quiet)
