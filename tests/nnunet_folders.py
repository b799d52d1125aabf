"""Result folders as nnU-Net v2 leaves them, with all keys of its two JSON files; only the networks are small."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.imaging.volume import Volume
from tools.models.runtimes.nnunet import _made
from tools.models.runtimes.nnunet_plans import Labels, Plans, channel_names
from tools.models.runtimes.nnunet_steps import prepared

RESAMPLING = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
BRATS_LABELS: dict[str, Any] = {
    "background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3],
}  # fmt: skip


def configuration(name: str, schemes: Sequence[str], masked: bool, dims: int = 3) -> dict[str, Any]:
    """A configuration of nnU-Net 2.2 and later."""
    patch, spacing = ([16, 16, 16], [2.0, 1.5, 1.5]) if dims == 3 else ([16, 16], [1.5, 1.5])
    return {
        "data_identifier": f"nnUNetPlans_{name}", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": patch, "median_image_size_in_voxels": [18.0, 22.0, 26.0][-dims:], "spacing": spacing,
        "normalization_schemes": list(schemes), "use_mask_for_norm": [masked] * len(schemes),
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": RESAMPLING,
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2, "features_per_stage": [8, 16], "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
                "kernel_sizes": [[3] * dims, [3] * dims], "strides": [[1] * dims, [2] * dims],
                "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1], "conv_bias": True,
                # without instance norm, whose statistics in patches of 16 voxels are no longer those of the training
                "norm_op": None, "norm_op_kwargs": None, "dropout_op": None, "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }  # fmt: skip


def old_configuration() -> dict[str, Any]:
    """The same network in the words of nnU-Net 2.0 and 2.1, with which TotalSegmentator's weights were trained."""
    made = configuration("3d_fullres", ["CTNormalization"], False)
    del made["architecture"]
    return made | {
        "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 8, "n_conv_per_stage_encoder": [1, 1],
        "n_conv_per_stage_decoder": [1], "num_pool_per_axis": [1, 1, 1], "unet_max_num_features": 320,
        "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2]], "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3]],
    }  # fmt: skip


def plans_with(configurations: Mapping[str, Any], channels: int = 1, name: str = "Dataset900_Test") -> dict[str, Any]:
    """plans.json with these configurations."""
    intensity = {
        "max": 3071.0, "mean": 40.0, "median": 50.0, "min": -1024.0, "percentile_00_5": -200.0,
        "percentile_99_5": 400.0, "std": 100.0,
    }  # fmt: skip
    return {
        "dataset_name": name, "plans_name": "nnUNetPlans", "original_median_spacing_after_transp": [2.0, 1.5, 1.5],
        "original_median_shape_after_transp": [18, 22, 26], "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "configurations": dict(configurations),
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(n): intensity for n in range(channels)},
    }  # fmt: skip


def write_folder(
    root: Path,
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    weights: Mapping[str, Any],
    trained: str,
    trainer: str = "nnUNetTrainer",
) -> Path:
    """Write ROOT/DATASET/TRAINER__PLANS__CONFIGURATION with one fold."""
    folder = root / str(plans["dataset_name"]) / f"{trainer}__nnUNetPlans__{trained}"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans, indent=4))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=4))
    (folder / "dataset_fingerprint.json").write_text("{}")
    checkpoint = {
        "network_weights": dict(weights), "optimizer_state": {"state": {}, "param_groups": []},
        "grad_scaler_state": None, "logging": {"mean_fg_dice": [np.float64(0.9)], "epoch_start_timestamps": [1.0]},
        "_best_ema": np.float64(0.9), "current_epoch": 1000, "trainer_name": trainer,
        "init_args": {"configuration": trained, "fold": 0, "device": torch.device("cpu")},
        "inference_allowed_mirroring_axes": (0, 1, 2) if trained != "2d" else (0, 1),
    }  # fmt: skip
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def trained_network(
    plans: Mapping[str, Any], name: str, dataset: Mapping[str, Any], images: Sequence[Volume], label_map: np.ndarray
) -> dict[str, torch.Tensor]:
    """Train the plans' network on one case for a few steps; regions by their own outputs, as nnU-Net does."""
    labels = Labels.read(dataset, "test")
    read = Plans.read(plans, name, "test", len(channel_names(dataset)))
    torch.manual_seed(0)
    network = _made(read, labels.outputs)
    given, undo = prepared(images, read)
    data = torch.from_numpy(given)
    truth = torch.from_numpy(np.ascontiguousarray(label_map.transpose(2, 1, 0)[undo.box])).long()
    image = data.transpose(0, 1) if read.flat else data[None]
    truth = truth if read.flat else truth[None]
    even = tuple(slice(0, n // 2 * 2) for n in image.shape[2:])
    image, truth = image[(..., *even)], truth[(..., *even)]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        _loss(network(image), truth, labels).backward()
        optimizer.step()
    return dict(network.state_dict())


def _loss(logits: torch.Tensor, truth: torch.Tensor, labels: Labels) -> torch.Tensor:
    if not labels.regions:
        return torch.nn.functional.cross_entropy(logits, truth)
    regions = [torch.isin(truth, torch.tensor(values)) for values in labels.values.values()]
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.stack(regions, dim=1).float())


def as_written_under_numpy_1(checkpoint: Path) -> None:
    """Rewrite a checkpoint as numpy 1 would have pickled its numbers."""
    with zipfile.ZipFile(checkpoint) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(checkpoint, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            archive.writestr(name, old if name.endswith("data.pkl") else data)
