"""Runtimes: the code that can run a family of models. Each module is imported when a card needs it."""

from collections.abc import Mapping
from types import MappingProxyType

RUNTIMES: Mapping[str, str] = MappingProxyType(
    {
        "clip_zero_shot": "tools.models.runtimes.clip:load",
        "deepbet": "tools.models.runtimes.deepbet:load",
        "hu_threshold": "tools.models.runtimes.hu_threshold:load",
        "image_classifier": "tools.models.runtimes.image_classifier:load",
        "image_encoder_clip": "tools.models.runtimes.image_encoder:load_clip",
        "image_encoder_monai": "tools.models.runtimes.image_encoder:load_monai",
        "image_encoder_vision": "tools.models.runtimes.image_encoder:load_vision",
        "landmarks_from_masks": "tools.models.runtimes.landmarks_from_masks:load",
        "landmarks_from_template": "tools.models.runtimes.landmarks_from_template:load",
        "monai_bundle": "tools.models.runtimes.monai_bundle:load",
        "nnunet": "tools.models.runtimes.nnunet:load",
        "onnx": "tools.models.runtimes.onnx_network:load",
        "open_clip": "tools.models.runtimes.open_clip_folder:load",
        "phrase_boxes": "tools.models.runtimes.zero_shot_boxes:load",
        "remote_http": "tools.models.runtimes.remote:load_http",
        "remote_mcp": "tools.models.runtimes.remote:load_mcp",
        "sam": "tools.models.runtimes.sam:load",
        "text_segmenter": "tools.models.runtimes.text_segmenter:load",
        "torchscript": "tools.models.runtimes.torchscript:load",
        "torchxrayvision": "tools.models.runtimes.xrayvision:load_findings",
        "torchxrayvision_anatomy": "tools.models.runtimes.xrayvision:load_anatomy",
        "trained_classifier": "tools.models.runtimes.trained:load_classifier",
        "trained_segmenter": "tools.models.runtimes.trained:load_segmenter",
        "vision_language": "tools.models.runtimes.vision_language:load",
    }
)
"""By the name that cards use: module and function `load(loading: Loading)`; see base.py."""
