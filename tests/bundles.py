"""Small bundles with the structure of the model zoo's: two-layer networks whose answer is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tools.models.card import ModelCard
from tools.models.runtimes.base import Loading

BRIGHT = 0.5
"""What the networks take for the structure, after scaling."""

SPACING = {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"}
SCALING = {
    "_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1,
    "clip": True,
}  # fmt: skip
UPRIGHT = {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"}
FIRST = [{"_target_": "LoadImaged", "keys": "@image_key"}, {"_target_": "EnsureChannelFirstd", "keys": "@image_key"}]
SAVE = {
    "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_dtype": "@output_dtype",
}  # fmt: skip
INVERT = {
    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key",
    "nearest_interp": False, "to_tensor": True,
}  # fmt: skip


def convolution(channels_in: int, channels_out: int, kernel: int = 1) -> dict[str, Any]:
    """One plain convolution, as a configuration writes it."""
    named = {"in_channels": channels_in, "out_channels": channels_out, "kernel_size": kernel, "conv_only": True}
    return {"_target_": "monai.networks.blocks.Convolution", "spatial_dims": 3, **named}


def spleen_config(channels_in: int = 1) -> dict[str, Any]:
    """The configuration of spleen_ct_segmentation with a network of two layers."""
    return {
        "imports": ["$import glob", "$import numpy", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "output_dtype": "$numpy.float32",
        "load_pretrain": True,
        "dataset_dir": "/workspace/data/Task09_Spleen",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "first": convolution(channels_in, 1, 3),
        "second": convolution(1, 2),
        "network_def": "$torch.nn.Sequential(@first, @second)",
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [*FIRST, UPRIGHT, SPACING, SCALING, {"_target_": "EnsureTyped", "keys": "@image_key"}],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 2, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                INVERT,
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                SAVE,
            ],
        },
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
            "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing", "amp": True,
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": [
            "$monai.utils.set_determinism(seed=123)",
            "$@checkpointloader(@evaluator) if @load_pretrain else None",
        ],
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def spleen_weights(shift: int = 1, channels_in: int = 1) -> dict[str, torch.Tensor]:
    """Weights that find what is brighter than 0.5 one voxel (1.5 mm) to the patient's right, where `shift` is 1."""
    first = torch.zeros(1, channels_in, 3, 3, 3)
    first[0, 0, 1 + shift, 1, 1] = 1.0
    second = torch.zeros(2, 1, 1, 1, 1)
    second[1] = 20.0
    return {
        "0.conv.weight": first,
        "0.conv.bias": torch.zeros(1),
        "1.conv.weight": second,
        "1.conv.bias": torch.tensor([0.0, -20.0 * BRIGHT]),
    }


def write_bundle(
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Any],
    channels: Mapping[str, str] | None = None,
) -> Path:
    """Write a bundle as the model zoo ships it."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    outputs = {"pred": {"channel_def": dict(channels or {"0": "background", "1": "spleen"})}}
    metadata = {"version": "0.5.9", "name": "test", "network_data_format": {"outputs": outputs}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=4))
    (folder / "configs" / "inference.json").write_text(json.dumps(config, indent=4))
    torch.save(dict(weights), folder / "models" / "model.pt")
    return folder


def zipped(folder: Path) -> Path:
    """Pack a bundle, with its folder at the top, as the zoo does."""
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def card(**fields: Any) -> ModelCard:
    """A card for a bundle."""
    given = {"name": "test-bundle", "title": "Test bundle", "verb": "segment", "runtime": "monai_bundle"}
    more = {"version": "1", "targets": ("spleen",), "modality": ("CT",), "dims": (3,), "seconds": 1, "licence": "MIT"}
    return ModelCard.model_validate(given | more | {"source": "test"} | fields)


def loading(path: Path, **fields: Any) -> Loading:
    """What the hub hands to the runtime."""
    return Loading(card(**fields), {path.name: path}, "cpu")
