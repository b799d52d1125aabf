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
    "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_ext": "@output_ext",
    "output_dtype": "@output_dtype", "output_postfix": "@output_postfix", "separate_folder": "@separate_folder",
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
        "output_ext": ".nii.gz",
        "output_dtype": "$numpy.float32",
        "output_postfix": "trans",
        "separate_folder": True,
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
        "dataloader": {
            "_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False, "num_workers": 0,
        },
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
            "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
            "val_handlers": "@handlers", "amp": True,
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


def without_layers(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without the two layers that stand for the network here."""
    return {key: value for key, value in config.items() if key not in ("first", "second")}


def spleen_as_shipped() -> dict[str, Any]:
    """Every entry of spleen_ct_segmentation 0.5.9; its U-Net is narrower, its patches are smaller."""
    network = {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16],
        "strides": [2, 2], "num_res_units": 2, "norm": "batch",
    }  # fmt: skip
    return without_layers(spleen_config()) | {"network_def": network}


def whole_body_as_shipped() -> dict[str, Any]:
    """Every entry of wholeBody_ct_segmentation; its SegResNet is narrower, with 7 outputs, its patches are smaller."""
    device = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
    network = {
        "_target_": "SegResNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 7, "init_filters": 8,
        "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1], "dropout_prob": 0.2,
    }  # fmt: skip
    pre = [
        FIRST[0], {"_target_": "EnsureTyped", "keys": "@image_key"}, FIRST[1], UPRIGHT,
        {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@pixdim", "mode": "bilinear"},
        {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True},
        {"_target_": "ScaleIntensityd", "keys": "@image_key", "minv": -1.0, "maxv": 1.0},
    ]  # fmt: skip
    post = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        INVERT | {"nearest_interp": True},
        SAVE,
    ]
    return without_layers(spleen_config()) | {
        "displayable_configs": {"highres": True, "sw_overlap": 0.25, "sw_batch_size": 1},
        "dataset_dir": "sampledata",
        "pixdim": "$[1.5, 1.5, 1.5] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
        "modelname": "$'model.pt' if @displayable_configs#highres else 'model_lowres.pt'",
        "network_def": network,
        "preprocessing": {"_target_": "Compose", "transforms": pre},
        "inferer": {
            "_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32],
            "sw_batch_size": "@displayable_configs#sw_batch_size", "overlap": "@displayable_configs#sw_overlap",
            "padding_mode": "replicate", "mode": "gaussian", "device": device,
        },
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "checkpointloader": {
            "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/' + @modelname",
            "load_dict": {"model": "@network"},
        },
        "initialize": [
            "$setattr(torch.backends.cudnn, 'benchmark', True)",
            "$@checkpointloader(@evaluator) if @load_pretrain else None",
        ],
    }  # fmt: skip


def brats_as_shipped() -> dict[str, Any]:
    """Every entry of brats_mri_segmentation 0.5.2; its SegResNet is narrower, its patches are smaller."""
    network = {
        "_target_": "SegResNet", "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1], "init_filters": 8,
        "in_channels": 4, "out_channels": 3, "dropout_prob": 0.2,
    }  # fmt: skip
    pre = [
        {"_target_": "LoadImaged", "keys": "@image_key", "image_only": False},
        {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True},
    ]
    func = "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"
    post = [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        INVERT | {"meta_keys": "pred_meta_dict"},
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
        {"_target_": "Lambdad", "keys": "pred", "func": func},
        SAVE | {"meta_keys": "pred_meta_dict", "resample": False, "squeeze_end_dims": True},
    ]
    listed = "data_list_key='testing', base_dir=@dataset_dir"
    config = without_layers(spleen_config())
    del config["datalist"]
    return config | {
        "ckpt_dir": "$@bundle_root + '/models'",
        "output_dtype": "uint8",
        "output_postfix": "seg",
        "data_list_file_path": "$@bundle_root + '/configs/datalist.json'",
        "dataset_dir": "/workspace/data/medical/brats2018challenge",
        "test_datalist": f"$monai.data.load_decathlon_datalist(@data_list_file_path, {listed})",
        "amp": True,
        "network_def": network,
        "preprocessing": {"_target_": "Compose", "transforms": pre},
        "dataset": {"_target_": "Dataset", "data": "@test_datalist", "transform": "@preprocessing"},
        "dataloader": config["dataloader"] | {"shuffle": True},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 24], "sw_batch_size": 1, "overlap": 0.5},
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "initialize": whole_body_as_shipped()["initialize"],
    }


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
    config = without_layers(spleen_config())
    for entry in ("load_pretrain", "dataset_dir", "datalist"):
        del config[entry]
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
        FIRST[0] | {"image_only": True},
        FIRST[1],
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
        SAVE | {"resample": False},
    ]
    more = {
        "bundle_root": "./",
        "output_dtype": "$np.float32",
        "sw_batch_size": 1,
        "patch_size": [16, 16, 16],
        "use_point_window": True,
        "dataset": {"_target_": "Dataset", "data": "$[@input_dict]", "transform": "@preprocessing"},
        "dataloader": config["dataloader"] | {"_target_": "ThreadDataLoader"},
        "checkpointloader": config["checkpointloader"] | {"map_location": "@device"},
        "imports": ["$import glob", "$import os", "$import scripts", "$import numpy as np", "$import copy",
                    "$import json", "$import pathlib"],
        "input_dict": "${'image': '/data/spleen_10.nii.gz', 'label_prompt': [3]}",
        "everything_labels": (
            "$list(set([i+1 for i in range(132)]) - set([2,16,18,20,21,23,24,25,26,27,128,129,130,131,132]))"
        ),
        "metadata_path": "$@bundle_root + '/configs/metadata.json'",
        "metadata": "$json.loads(pathlib.Path(@metadata_path).read_text())",
        "labels_dict": "$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        "subclass": {
            "2": [14, 5], "20": [3, 5], "21": "$list(range(33, 57)) + list(range(63, 98)) + [114, 120, 122]",
        },
        "resample_spacing": [1.5, 1.5, 1.5],
        "preprocessing_transforms": pre,
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        "inferer": {
            "_target_": "scripts.inferer.Vista3dInferer", "roi_size": "@patch_size", "overlap": 0.3,
            "sw_batch_size": "@sw_batch_size", "use_point_window": "@use_point_window",
        },
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "evaluator": config["evaluator"] | {
            "_target_": "scripts.evaluator.Vista3dEvaluator",
            "hyper_kwargs": {"user_prompt": True, "everything_labels": "@everything_labels"},
        },
        "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
    }  # fmt: skip
    return config | network | more


def retinanet_config() -> dict[str, Any]:
    """The configuration of lung_nodule_ct_detection with a small network of the same make."""
    config = without_layers(spleen_config())
    for entry in ("datalist", "output_ext", "output_dtype", "output_postfix", "separate_folder"):
        del config[entry]
    pre = [
        {"_target_": "LoadImaged", "keys": "@image_key", "_disabled_": "@whether_raw_luna16"},
        {"_target_": "LoadImaged", "keys": "@image_key", "reader": "itkreader", "affine_lps_to_ras": True,
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
    post = [
        {
            "_target_": "ClipBoxToImaged", "box_keys": "box", "label_keys": "label", "box_ref_image_keys": "@image_key",
            "remove_empty": True,
        },
        {
            "_target_": "AffineBoxToWorldCoordinated", "box_keys": "box", "box_ref_image_keys": "@image_key",
            "affine_lps_to_ras": True,
        },
        {"_target_": "ConvertBoxModed", "box_keys": "box", "src_mode": "xyzxyz", "dst_mode": "cccwhd"},
        {"_target_": "DeleteItemsd", "keys": ["@image_key"]},
    ]  # fmt: skip
    saver = {
        "_target_": "scripts.detection_saver.DetectionSaver", "output_dir": "@output_dir",
        "filename": "@output_filename", "batch_transform": "$lambda x: [xx['image'].meta for xx in x]",
        "output_transform": "$lambda x: [@postprocessing({**xx['pred'],'image':xx['image']}) for xx in x]",
        "pred_box_key": "box", "pred_label_key": "label", "pred_score_key": "label_scores",
    }  # fmt: skip
    evaluator = {key: value for key, value in config["evaluator"].items() if key != "postprocessing"}
    more = {
        "whether_raw_luna16": False,
        "whether_resampled_luna16": "$(not @whether_raw_luna16)",
        "ckpt_dir": "$@bundle_root + '/models'",
        "output_filename": "result_luna16_fold0.json",
        "data_list_file_path": "$@bundle_root + '/LUNA16_datasplit/dataset_fold0.json'",
        "dataset_dir": "/datasets/LUNA16_Images_resample",
        "test_datalist": (
            "$monai.data.load_decathlon_datalist(@data_list_file_path, is_segmentation=True, "
            "data_list_key='validation', base_dir=@dataset_dir)"
        ),
        "dataset": {"_target_": "Dataset", "data": "$@test_datalist", "transform": "@preprocessing"},
        "dataloader": config["dataloader"] | {"collate_fn": "$monai.data.utils.no_collation"},
        "amp": True, "spatial_dims": 3, "num_classes": 1, "force_sliding_window": False, "size_divisible": [8, 8, 8],
        "infer_patch_size": [512, 512, 192],
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
            "_target_": "RetinaNet", "spatial_dims": "@spatial_dims", "num_classes": "@num_classes", "num_anchors": 1,
            "feature_extractor": "@feature_extractor", "size_divisible": "@size_divisible", "use_list_output": False,
        },
        "detector": {
            "_target_": "RetinaNetDetector", "network": "@network", "anchor_generator": "@anchor_generator",
            "debug": False, "spatial_dims": "@spatial_dims", "num_classes": "@num_classes",
            "size_divisible": "@size_divisible",
        },
        "detector_ops": [
            "$@detector.set_target_keys(box_key='box', label_key='label')",
            "$@detector.set_box_selector_parameters(score_thresh=0.02,topk_candidates_per_level=100,nms_thresh=0.22,"
            "detections_per_img=20)",
            "$@detector.set_sliding_window_inferer(roi_size=@infer_patch_size,overlap=0.25,sw_batch_size=1,"
            "mode='constant',device='cpu')",
        ],
        "preprocessing": {"_target_": "Compose", "transforms": pre},
        "inferer": {
            "_target_": "scripts.detection_inferer.RetinaNetInferer", "detector": "@detector",
            "force_sliding_window": "@force_sliding_window",
        },
        "postprocessing": {"_target_": "Compose", "transforms": post},
        "handlers": [*config["handlers"], saver],
        "evaluator": evaluator | {
            "_target_": "scripts.evaluator.DetectionEvaluator", "_requires_": "@detector_ops", "amp": "@amp",
        },
        "initialize": whole_body_as_shipped()["initialize"],
    }  # fmt: skip
    return config | more
