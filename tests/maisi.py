"""A small bundle with the layout of maisi_ct_generative: every entry and file name, two-level networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

NETWORKS = "monai.apps.generation.maisi.networks"
LABELS = {"liver": 1, "spleen": 3, "hepatic tumor": 26, "left lung upper lobe": 28, "body": 200}
SIZE, SPACING_MM = (32, 32, 32), (8.0, 8.0, 6.0)
UNET = "input_unet3d_data-all_steps1000size512ddpm_random_current_inputx_v1.pt"
CONTROLNET = "controlnet-20datasets-e20wl100fold0bc_noi_dia_fsize_current.pt"
CANDIDATES = "candidate_masks_flexible_size_and_spacing_3000"
ALL_MASKS = "all_masks_flexible_size_and_spacing_3000"
REQUIRED = (
    "create_output_dir", "load_diffusion", "load_autoencoder", "copy_controlnet_state", "load_controlnet",
    "load_mask_generation_autoencoder", "load_mask_generation_diffusion", "check_input",
)  # fmt: skip
SAMPLED = (
    "body_region", "anatomy_list", "all_mask_files_json", "all_anatomy_size_condtions_json", "all_mask_files_base_dir",
    "label_dict_json", "label_dict_remap_json", "autoencoder", "diffusion_unet", "controlnet", "scale_factor",
    "noise_scheduler", "mask_generation_autoencoder", "mask_generation_diffusion_unet", "mask_generation_scale_factor",
    "mask_generation_noise_scheduler", "controllable_anatomy_size", "image_output_ext", "label_output_ext", "device",
    "latent_shape", "mask_generation_latent_shape", "output_size", "spacing", "output_dir", "num_inference_steps",
    "mask_generation_num_inference_steps", "random_seed", "autoencoder_sliding_window_infer_size",
    "autoencoder_sliding_window_infer_overlap",
)  # fmt: skip
"""What the configuration hands to the sampler under the same name."""


def _autoencoder(channels_in: int | str, channels_out: int | str, **more: Any) -> dict[str, Any]:
    return {
        "_target_": f"{NETWORKS}.autoencoderkl_maisi.AutoencoderKlMaisi", "spatial_dims": "@spatial_dims",
        "in_channels": channels_in, "out_channels": channels_out, "latent_channels": "@latent_channels",
        "num_channels": [8, 8, 8], "num_res_blocks": [1, 1, 1], "norm_num_groups": 4, "norm_eps": 1e-06,
        "attention_levels": [False, False, False], "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False, "use_checkpointing": False, "use_convtranspose": False,
        "norm_float16": True, "num_splits": 2, "dim_split": 1, **more,
    }  # fmt: skip


def _scheduler() -> dict[str, Any]:
    return {
        "_target_": "monai.networks.schedulers.ddpm.DDPMScheduler", "num_train_timesteps": 1000, "beta_start": 0.0015,
        "beta_end": 0.0195, "schedule": "scaled_linear_beta", "clip_sample": False,
    }  # fmt: skip


def maisi_config() -> dict[str, Any]:
    """The configuration of maisi_ct_generative with small networks."""
    levels = {
        "num_channels": [8, 16], "attention_levels": [False, True], "num_head_channels": [0, 8], "num_res_blocks": 1,
        "use_flash_attention": True, "norm_num_groups": 4,
    }  # fmt: skip
    places = {
        "trained_autoencoder_path": "autoencoder_epoch273.pt", "trained_diffusion_path": UNET,
        "trained_controlnet_path": CONTROLNET,
        "trained_mask_generation_autoencoder_path": "mask_generation_autoencoder.pt",
        "trained_mask_generation_diffusion_path": "mask_generation_diffusion_unet.pt",
    }  # fmt: skip
    tables = {
        "all_mask_files_json": f"{CANDIDATES}.json",
        "all_anatomy_size_condtions_json": "all_anatomy_size_condtions.json",
        "label_dict_json": "label_dict.json", "label_dict_remap_json": "label_dict_124_to_132.json",
        "real_img_median_statistics_file": "image_median_statistics.json",
    }  # fmt: skip
    return {
        "imports": ["$import torch", "$from pathlib import Path", "$import scripts"],
        "bundle_root": ".",
        "model_dir": "$@bundle_root + '/models'",
        "output_dir": "$@bundle_root + '/output'",
        "create_output_dir": "$Path(@output_dir).mkdir(exist_ok=True)",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        **{entry: f"$@model_dir + '/{file}'" for entry, file in places.items()},
        "all_mask_files_base_dir": f"$@bundle_root + '/datasets/{ALL_MASKS}'",
        **{entry: f"$@bundle_root + '/configs/{file}'" for entry, file in tables.items()},
        "num_output_samples": 1, "body_region": ["abdomen"], "anatomy_list": ["liver"], "controllable_anatomy_size": [],
        "num_inference_steps": 2, "mask_generation_num_inference_steps": 2, "random_seed": None, "spatial_dims": 3,
        "image_channels": 1, "latent_channels": 4, "image_output_ext": ".nii.gz", "label_output_ext": ".nii.gz",
        "output_size_xy": SIZE[0], "output_size_z": SIZE[2],
        "output_size": ["@output_size_xy", "@output_size_xy", "@output_size_z"],
        "spacing_xy": SPACING_MM[0], "spacing_z": SPACING_MM[2],
        "spacing": ["@spacing_xy", "@spacing_xy", "@spacing_z"],
        "latent_shape": ["@latent_channels", "$@output_size[0]//4", "$@output_size[1]//4", "$@output_size[2]//4"],
        "mask_generation_latent_shape": [4, 8, 8, 8],
        "autoencoder_sliding_window_infer_size": [16, 16, 16], "autoencoder_sliding_window_infer_overlap": 0.25,
        "autoencoder_def": _autoencoder("@image_channels", "@image_channels"),
        "diffusion_unet_def": {
            "_target_": f"{NETWORKS}.diffusion_model_unet_maisi.DiffusionModelUNetMaisi",
            "spatial_dims": "@spatial_dims", "in_channels": "@latent_channels", "out_channels": "@latent_channels",
            **levels, "include_top_region_index_input": True, "include_bottom_region_index_input": True,
            "include_spacing_input": True,
        },
        "controlnet_def": {
            "_target_": f"{NETWORKS}.controlnet_maisi.ControlNetMaisi", "spatial_dims": "@spatial_dims",
            "in_channels": "@latent_channels", **levels, "conditioning_embedding_in_channels": 8,
            "conditioning_embedding_num_channels": [8, 8, 8],
        },
        "mask_generation_autoencoder_def": _autoencoder(
            8, 5, use_convtranspose=True, use_checkpointing=True, use_flash_attention=False
        ),
        "mask_generation_diffusion_def": {
            "_target_": "monai.networks.nets.diffusion_model_unet.DiffusionModelUNet",
            "spatial_dims": "@spatial_dims", "in_channels": "@latent_channels", "out_channels": "@latent_channels",
            "channels": [8, 16], "attention_levels": [False, True], "num_head_channels": [0, 8], "num_res_blocks": 1,
            "use_flash_attention": True, "with_conditioning": True, "upcast_attention": True, "cross_attention_dim": 10,
            "norm_num_groups": 4,
        },
        "autoencoder": "$@autoencoder_def.to(@device)",
        "checkpoint_autoencoder": "$torch.load(@trained_autoencoder_path, weights_only=True)",
        "load_autoencoder": "$@autoencoder.load_state_dict(@checkpoint_autoencoder)",
        "diffusion_unet": "$@diffusion_unet_def.to(@device)",
        "checkpoint_diffusion_unet": "$torch.load(@trained_diffusion_path, weights_only=False)",
        "load_diffusion": "$@diffusion_unet.load_state_dict(@checkpoint_diffusion_unet['unet_state_dict'])",
        "controlnet": "$@controlnet_def.to(@device)",
        "copy_controlnet_state": (
            "$monai.networks.utils.copy_model_state(@controlnet, @diffusion_unet.state_dict())"
        ),
        "checkpoint_controlnet": "$torch.load(@trained_controlnet_path, weights_only=False)",
        "load_controlnet": (
            "$@controlnet.load_state_dict(@checkpoint_controlnet['controlnet_state_dict'], strict=True)"
        ),
        "scale_factor": "$@checkpoint_diffusion_unet['scale_factor'].to(@device)",
        "mask_generation_autoencoder": "$@mask_generation_autoencoder_def.to(@device)",
        "checkpoint_mask_generation_autoencoder": (
            "$torch.load(@trained_mask_generation_autoencoder_path, weights_only=True)"
        ),
        "load_mask_generation_autoencoder": (
            "$@mask_generation_autoencoder.load_state_dict(@checkpoint_mask_generation_autoencoder, strict=True)"
        ),
        "mask_generation_diffusion_unet": "$@mask_generation_diffusion_def.to(@device)",
        "checkpoint_mask_generation_diffusion_unet": (
            "$torch.load(@trained_mask_generation_diffusion_path, weights_only=True)"
        ),
        "load_mask_generation_diffusion": (
            "$@mask_generation_diffusion_unet.load_state_dict("
            "@checkpoint_mask_generation_diffusion_unet['unet_state_dict'], strict=True)"
        ),
        "mask_generation_scale_factor": "$@checkpoint_mask_generation_diffusion_unet['scale_factor']",
        "noise_scheduler": _scheduler(),
        "mask_generation_noise_scheduler": _scheduler(),
        "check_input": (
            "$scripts.sample.check_input(@body_region,@anatomy_list,@label_dict_json,@output_size,@spacing,"
            "@controllable_anatomy_size)"
        ),
        "ldm_sampler": {
            "_target_": "scripts.sample.LDMSampler",
            "_requires_": [f"@{entry}" for entry in REQUIRED],
            "real_img_median_statistics": "@real_img_median_statistics_file",
            **{entry: f"@{entry}" for entry in SAMPLED},
        },
        "run": ["$@ldm_sampler.sample_multiple_images(@num_output_samples)"],
        "evaluator": None,
    }  # fmt: skip


def body_labels() -> tuple[np.ndarray, np.ndarray]:
    """Labels of a block of body with a liver on the patient's right: uint8 (i, j, k), and their affine, LPS."""
    labels = np.zeros((24, 24, 20), np.uint8)
    labels[4:20, 4:20, 2:18] = 200
    labels[5:11, 6:16, 6:14] = 1  # low i is the patient's right in LPS
    return labels, np.diag([-10.0, -10.0, 9.0, 1.0])


def write_maisi(folder: Path, **overrides: Any) -> Path:
    """Write the bundle, its networks with random weights from a fixed seed."""
    from tests.bundles import write_bundle
    from tools.models.runtimes.bundle_config import BundleConfig

    config = maisi_config() | overrides
    write_bundle(folder, config, {})
    torch.manual_seed(3)
    made = BundleConfig(config, "", "config", given={}, own={})
    names = "autoencoder diffusion_unet controlnet mask_generation_autoencoder mask_generation_diffusion"
    states = {name: made.get(f"{name}_def").state_dict() for name in names.split()}
    scale = torch.tensor(0.8)
    models = folder / "models"
    torch.save(states["autoencoder"], models / "autoencoder_epoch273.pt")
    torch.save({"unet_state_dict": states["diffusion_unet"], "scale_factor": scale}, models / UNET)
    torch.save({"controlnet_state_dict": states["controlnet"]}, models / CONTROLNET)
    torch.save(states["mask_generation_autoencoder"], models / "mask_generation_autoencoder.pt")
    mask_diffusion = {"unet_state_dict": states["mask_generation_diffusion"], "scale_factor": scale}
    torch.save(mask_diffusion, models / "mask_generation_diffusion_unet.pt")
    labels, affine = body_labels()
    (folder / "datasets" / ALL_MASKS).mkdir(parents=True)
    nib.save(nib.Nifti1Image(labels, affine), folder / "datasets" / ALL_MASKS / "case1.nii.gz")
    case = {
        "pseudo_label_filename": "case1.nii.gz", "label_list": [1, 200], "dim": [24, 24, 20], "spacing": [10, 10, 9],
        "top_region_index": [0, 0, 1, 0], "bottom_region_index": [0, 0, 1, 0],
    }  # fmt: skip
    tables: dict[str, Any] = {
        CANDIDATES: [case, case | {"label_list": [1, 26, 200], "pseudo_label_filename": "tumour.nii.gz"}],
        "all_anatomy_size_condtions": [
            {"organ_size": [0.5] * 10},
            {"organ_size": [-1, 0.2, 0.5, 0.5, 0.5, -1, -1, -1, -1, -1]},
        ],
        "label_dict": LABELS,
        "label_dict_124_to_132": {"body": [1, 200], "liver": [2, 1], "spleen": [3, 3], "tumour": [4, 26]},
        "image_median_statistics": {"liver": {"sigma_6_low": -2000, "sigma_6_high": -1500}},
    }
    for name, table in tables.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(table))
    return folder
