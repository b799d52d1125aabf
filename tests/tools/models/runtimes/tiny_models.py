"""Tiny models of random weights in transformers format, made by the tests: no download, no torchvision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.runtimes.base import Loading

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def card(**given: Any) -> ModelCard:
    """A card with the least that one needs."""
    least = {"name": "tiny", "title": "Tiny", "verb": "classify", "runtime": "x", "version": "1", "seconds": 1}
    return ModelCard(**{**least, "licence": "own", "source": "made here", **given})


def loading(folder: Path, **given: Any) -> Loading:
    """What a runtime gets to load such a model with."""
    return Loading(card(**given), {"tiny": folder}, "cpu")


def prepare(folder: Path, kind: str, size: int = 32, **more: Any) -> Path:
    """Write preprocessor_config.json."""
    said = {
        "image_processor_type": kind, "do_resize": True, "size": {"height": size, "width": size}, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3,
        "resample": 2,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps({**said, **more}))
    return folder


def words(folder: Path, vocabulary: Sequence[str], *, template: str = "", **more: Any) -> Path:
    """Write a tokenizer that knows whole words; the first three are padding, unknown and end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(vocabulary)}, vocabulary[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        pairs = [(word, place) for place, word in enumerate(vocabulary) if word in template]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=pairs)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=vocabulary[0],
        unk_token=vocabulary[1],
        eos_token=vocabulary[2],
        **more,
    )
    fast.save_pretrained(folder)
    return folder


def film(shape: tuple[int, int] = (50, 40), seed: int = 0) -> Volume:
    """An uint8 picture, i 50 by j 40, without symmetry."""
    array = np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)
    array[5:20, 25:35] = 255
    return Volume(array[:, :, None], PICTURE_AFFINE, modality="DX", body_part="CHEST")


def quiet(done: float, what: str) -> None:
    """Hear of progress and say nothing."""


SAM_VISION = {
    "hidden_size": 16, "output_channels": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64,
    "patch_size": 8, "mlp_dim": 16, "window_size": 4, "global_attn_indexes": [1], "num_pos_feats": 4,
}  # fmt: skip
SAM_PROMPTS = {"hidden_size": 8, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
SAM_DECODER = {"hidden_size": 8, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 8}


def sam_processor_of(kind: Any) -> Any:
    """A processor for pictures of 64 pixels."""
    from transformers import SamImageProcessorPil

    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    low = {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    return kind(SamImageProcessorPil(**sizes, **low))


def tiny_sam(folder: Path) -> Path:
    """Write a SAM of random weights, with its processor."""
    import torch
    from transformers import SamConfig, SamModel, SamProcessor

    torch.manual_seed(1)
    config = SamConfig(
        vision_config=SAM_VISION, prompt_encoder_config=SAM_PROMPTS, mask_decoder_config=SAM_DECODER
    )  # fmt: skip
    SamModel(config).save_pretrained(folder)
    sam_processor_of(SamProcessor).save_pretrained(folder)
    return folder


def straight_from_sam(folder: Path, rgb: np.ndarray, **given: Any) -> np.ndarray:
    """What transformers gives for a picture and a prompt, without our code; axes (x, y).

    Args:
        folder: of a model.
        rgb: uint8, axes (y, x, 3).
        given: input_boxes, or input_points and input_labels; many: the best of several outlines.
    """
    import torch
    from transformers import SamModel, SamProcessor

    processor = SamProcessor.from_pretrained(folder, backend="pil")
    model = SamModel.from_pretrained(folder).eval()
    many = bool(given.pop("many", False))
    inputs = processor(images=rgb, return_tensors="pt", **given)
    sizes, reshaped = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    cast = {key: value.float() if value.is_floating_point() else value for key, value in inputs.items()}
    with torch.inference_mode():
        output = model(**cast, multimask_output=many)
    best = int(output.iou_scores[0, 0].argmax())
    return np.asarray(processor.post_process_masks(output.pred_masks, sizes, reshaped)[0][0, best]).T
