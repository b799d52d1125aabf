"""SAM-type models, tried with a tiny SAM of random weights that the test makes itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.models.runtimes.tiny_models import (
    SAM_DECODER,
    SAM_PROMPTS,
    SAM_VISION,
    film,
    loading,
    quiet,
    sam_processor_of,
    straight_from_sam,
    tiny_sam,
)
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.models.runtimes.base import Prompt
from tools.models.runtimes.sam import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam(tmp_path_factory.mktemp("sam"))


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

    expected = straight_from_sam(folder, _rgb(), **given)
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


@pytest.fixture(scope="module")
def sam_hq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import SamHQConfig, SamHQModel, SamHQProcessor

    torch.manual_seed(2)
    made = tmp_path_factory.mktemp("sam-hq")
    decoder = {**SAM_DECODER, "vit_dim": 16}
    config = SamHQConfig(vision_config=SAM_VISION, prompt_encoder_config=SAM_PROMPTS, mask_decoder_config=decoder)
    SamHQModel(config).save_pretrained(made)
    sam_processor_of(SamHQProcessor).save_pretrained(made)
    return made


def test_sam_hq_outlines_like_itself(sam_hq: Path) -> None:
    from transformers import SamHQModel, SamHQProcessor

    mask = load(loading(sam_hq, **SURE)).segment_prompted(film(), Prompt(box=((5, 8, 0), (30, 30, 0))), quiet)
    processor = SamHQProcessor.from_pretrained(sam_hq, backend="pil")
    inputs = processor(images=_rgb(), return_tensors="pt", input_boxes=[[[5.0, 8.0, 30.0, 30.0]]])
    sizes, reshaped = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    cast = {key: value.float() if value.is_floating_point() else value for key, value in inputs.items()}
    with torch.inference_mode():
        output = SamHQModel.from_pretrained(sam_hq).eval()(**cast, multimask_output=False)
    expected = processor.post_process_masks(output.pred_masks, sizes, reshaped)[0][0, 0].numpy().T
    assert (mask[:, :, 0] == expected).all()


def _rgb() -> np.ndarray:
    return np.repeat(film().array[:, :, 0].T[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(4)
    made = tmp_path_factory.mktemp("sam2")
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [], "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    }  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 32, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 8}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    Sam2Model(config).save_pretrained(made)
    said = {"image_processor_type": "Sam2ImageProcessorFast", "size": {"height": 64, "width": 64},
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}  # fmt: skip
    (made / "preprocessor_config.json").write_text(json.dumps(said))
    return made


@pytest.mark.parametrize(
    ("prompt", "given", "many"),
    [
        (Prompt(box=((5, 8, 0), (30, 30, 0))), {"input_boxes": [[[6.4, 12.8, 38.4, 48.0]]]}, False),
        (
            Prompt(points=((10, 20, 0),), outside=((40, 4, 0),)),
            {"input_points": [[[[12.8, 32.0], [51.2, 6.4]]]], "input_labels": [[[1, 0]]]},
            False,
        ),
        (Prompt(points=((10, 20, 0),)), {"input_points": [[[[12.8, 32.0]]]], "input_labels": [[[1]]]}, True),
    ],
)
def test_sam_2_outlines_like_itself_without_torchvision(
    sam2: Path, prompt: Prompt, given: dict[str, object], many: bool
) -> None:
    """Film of 50 × 40 pixels on the model's 64 × 64: x grows by 1.28, y by 1.6."""
    from transformers import Sam2Model

    mask = load(loading(sam2, **SURE)).segment_prompted(film(), prompt, quiet)
    picture = torch.from_numpy(_rgb()).permute(2, 0, 1)[None].float()
    scaled = torch.nn.functional.interpolate(picture, (64, 64), mode="bilinear", antialias=True).round()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (scaled / 255 - mean[:, None, None]) / std[:, None, None]
    tensors = {name: torch.tensor(value) for name, value in given.items()}
    with torch.inference_mode():
        output = Sam2Model.from_pretrained(sam2).eval()(pixel_values=pixels, **tensors, multimask_output=many)
    best = int(output.iou_scores[0, 0].argmax())
    expected = torch.nn.functional.interpolate(output.pred_masks[0], (40, 50), mode="bilinear")[0, best] > 0
    assert mask.shape == (50, 40, 1)
    assert expected.any()
    assert np.mean(mask[:, :, 0] == expected.numpy().T) > 0.999


def test_a_sam_2_without_its_processors_file_is_refused(sam2: Path, tmp_path: Path) -> None:
    import shutil

    copied = shutil.copytree(sam2, tmp_path / "copy")
    (copied / "preprocessor_config.json").write_text("{}")
    with pytest.raises(UnavailableError, match="must name size, image_mean and image_std"):
        load(loading(copied, **SURE))
