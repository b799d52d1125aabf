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
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 2, "overlap": 0.5,
                    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"},
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


def vista3d_config() -> dict[str, Any]:
    """The configuration of vista3d with a small network of the same make."""
    config = spleen_config()
    network = {
        "encoder": {
            "_target_": "SegResNetDS2", "in_channels": "@input_channels", "blocks_down": [1, 1], "norm": "instance",
            "out_channels": 8, "init_filters": 8, "dsdepth": 1,
        },
        "point_head": {"_target_": "monai.networks.nets.vista3d.PointMappingSAM", "feature_size": 8, "n_classes": 140},
        "class_head": {
            "_target_": "monai.networks.nets.vista3d.ClassMappingClassify", "feature_size": 8, "n_classes": 140,
        },
        "input_channels": 1,
        "network_def": {
            "_target_": "monai.networks.nets.VISTA3D", "image_encoder": "@encoder", "class_head": "@class_head",
            "point_head": "@point_head",
        },
    }  # fmt: skip
    vista = "monai.apps.vista3d.transforms.Vista"
    pre = [
        *FIRST,
        {"_target_": "EnsureTyped", "keys": "@image_key", "device": "@device", "track_meta": True},
        {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@resample_spacing", "mode": "bilinear"},
        {
            "_target_": "CropForegroundd", "keys": "@image_key", "allow_smaller": True, "margin": 10,
            "source_key": "@image_key",
        },
        {
            "_target_": f"{vista}PreTransformd", "keys": "@image_key", "subclass": "@subclass",
            "labels_dict": "@labels_dict",
        },
        SCALING,
        UPRIGHT,
        {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
    ]  # fmt: skip
    invert = {**INVERT, "transform": "$copy.deepcopy(@preprocessing)", "nearest_interp": True}
    post = [
        {"_target_": "ToDeviced", "keys": "pred", "device": "cpu", "_disabled_": True},
        {"_target_": f"{vista}PostTransformd", "keys": "pred"},
        invert,
        {"_target_": "Lambdad", "func": "$lambda x: torch.nan_to_num(x, nan=255)", "keys": "pred"},
        SAVE,
    ]
    more = {
        "imports": ["$import glob", "$import os", "$import scripts", "$import numpy as np", "$import copy",
                    "$import json", "$import pathlib"],
        "input_dict": "${'image': '/data/spleen_10.nii.gz', 'label_prompt': [3]}",
        "everything_labels": "$list(set([i+1 for i in range(132)]) - set([2,16,18]))",
        "metadata_path": "$@bundle_root + '/configs/metadata.json'",
        "metadata": "$json.loads(pathlib.Path(@metadata_path).read_text())",
        "labels_dict": "$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        "subclass": {"20": [3, 5], "21": "$list(range(33, 36)) + [114]"},
        "resample_spacing": [1.5, 1.5, 1.5],
        "preprocessing_transforms": pre,
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        "inferer": {
            "_target_": "scripts.inferer.Vista3dInferer", "roi_size": [16, 16, 16], "overlap": 0.3, "sw_batch_size": 1,
            "use_point_window": True,
        },
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "evaluator": {"_target_": "scripts.evaluator.Vista3dEvaluator", "amp": True},
        "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
    }  # fmt: skip
    return config | network | more


def retinanet_config() -> dict[str, Any]:
    """The configuration of lung_nodule_ct_detection with a small network of the same make."""
    config = spleen_config()
    pre = [
        {"_target_": "LoadImaged", "keys": "@image_key", "_disabled_": "@whether_raw_luna16"},
        {"_target_": "LoadImaged", "keys": "@image_key", "reader": "itkreader",
         "_disabled_": "@whether_resampled_luna16"},
        {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
        UPRIGHT,
        {
            "_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.5, 1.5, 2.0],
            "_disabled_": "@whether_resampled_luna16",
        },
        SCALING,
        {"_target_": "EnsureTyped", "keys": "@image_key"},
    ]  # fmt: skip
    more = {
        "whether_raw_luna16": False,
        "whether_resampled_luna16": "$(not @whether_raw_luna16)",
        "test_datalist": "$monai.data.load_decathlon_datalist(@dataset_dir, data_list_key='validation')",
        "force_sliding_window": False,
        "anchor_generator": {
            "_target_": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
            "feature_map_scales": [1, 2], "base_anchor_shapes": [[8, 8, 8]],
        },
        "backbone": (
            "$monai.networks.nets.resnet.resnet10(spatial_dims=3,n_input_channels=1,conv1_t_stride=[2,2,2],"
            "conv1_t_size=[7,7,7])"
        ),
        "feature_extractor": (
            "$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor(@backbone,3,False,[1],None)"
        ),
        "network_def": {
            "_target_": "RetinaNet", "spatial_dims": 3, "num_classes": 1, "num_anchors": 1,
            "feature_extractor": "@feature_extractor", "size_divisible": [8, 8, 8], "use_list_output": False,
        },
        "detector": {
            "_target_": "RetinaNetDetector", "network": "@network", "anchor_generator": "@anchor_generator",
            "debug": False, "spatial_dims": 3, "num_classes": 1, "size_divisible": [8, 8, 8],
        },
        "detector_ops": [
            "$@detector.set_target_keys(box_key='box', label_key='label')",
            "$@detector.set_box_selector_parameters(score_thresh=0.02,topk_candidates_per_level=100,nms_thresh=0.22,"
            "detections_per_img=20)",
            "$@detector.set_sliding_window_inferer(roi_size=[512,512,192],overlap=0.25,sw_batch_size=1,mode='constant',"
            "device='cpu')",
        ],
        "preprocessing": {"_target_": "Compose", "transforms": pre},
        "inferer": {
            "_target_": "scripts.detection_inferer.RetinaNetInferer", "detector": "@detector",
            "force_sliding_window": "@force_sliding_window",
        },
        "evaluator": {"_target_": "scripts.evaluator.DetectionEvaluator", "_requires_": "@detector_ops", "amp": True},
    }  # fmt: skip
    return config | more
