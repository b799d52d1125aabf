"""Generators in bundles: MAISI and latent diffusion, on small networks with the layout of the zoo's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bundles import loading, write_bundle, zipped
from tests.maisi import ALL_MASKS, SIZE, SPACING_MM, write_maisi
from tools.errors import BadInputError, CancelledError, UnavailableError, UnsupportedError
from tools.imaging.geometry import voxel_to_world
from tools.models.runtimes.base import Synthesized, silent
from tools.models.runtimes.monai_bundle import load

CT = {"verb": "synthesize", "targets": (), "modality": ()}


@pytest.fixture(scope="module")
def maisi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_maisi(tmp_path_factory.mktemp("maisi") / "maisi_ct_generative")


def made(bundle: Path, seed: float = 7.0, **fields: Any) -> Synthesized:
    return load(loading(bundle, **CT, **fields)).synthesize(None, {"seed": seed}, silent)


def test_maisi_makes_a_ct_from_the_bundles_own_labels(maisi: Path) -> None:
    found = made(maisi)
    image = found.image
    assert image.shape == SIZE
    assert image.spacing_mm == SPACING_MM
    assert (image.modality, image.units, image.body_part) == ("CT", "HU", "ABDOMEN")
    assert "SyntheticNote" in image.header
    assert image.array.min() >= -1000
    assert image.array.max() <= 1000
    assert found.labels is not None
    assert found.names == {1: "liver"}
    assert set(np.unique(found.labels)) == {0, 1}
    volume_ml = np.count_nonzero(found.labels) * np.prod(SPACING_MM) / 1000
    assert volume_ml == pytest.approx(6 * 10 * 8 * 10 * 10 * 9 / 1000, rel=0.12)  # as large as in the collection


def test_labels_of_another_orientation_keep_their_side(maisi: Path) -> None:
    found = made(maisi)
    centre = voxel_to_world(found.image, np.argwhere(found.labels == 1).mean(0))
    middle = voxel_to_world(found.image, np.argwhere(found.image.array > -1000).mean(0))
    assert centre[0] > middle[0] + 20  # the liver lies to the patient's right, +x in RAS+


def test_the_seed_decides_and_a_zip_gives_the_same(maisi: Path, tmp_path: Path) -> None:
    first = made(maisi).image.array
    assert np.array_equal(first, made(maisi).image.array)
    assert not np.array_equal(first, made(maisi, seed=8.0).image.array)
    copied = tmp_path / "copy"
    shutil.copytree(maisi, copied)
    shutil.make_archive(str(copied / "datasets" / ALL_MASKS), "zip", copied / "datasets", ALL_MASKS)
    shutil.rmtree(copied / "datasets" / ALL_MASKS)
    assert np.array_equal(first, made(zipped(copied)).image.array)


def test_organs_with_sizes_have_their_labels_made(maisi: Path) -> None:
    settings = {"overrides": {"controllable_anatomy_size": [["liver", 0.4]]}}
    found = made(maisi, options=settings)
    assert found.names == {1: "liver"}
    assert found.image.shape == SIZE
    assert found.labels is not None
    assert found.labels.dtype == np.uint8


def test_a_density_outside_the_bundles_bounds_is_said(maisi: Path) -> None:
    notes = made(maisi).notes
    assert any(n.startswith("The made liver has a median of") and "-2000 to -1500 HU" in n for n in notes)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"anatomy_list": ["unicorn"]}, "no label for unicorn"),
        ({"anatomy_list": ["spleen"]}, "no labels in the bundle's collection show spleen"),
        ({"body_region": ["head"]}, "no labels in the bundle's collection"),
        ({"controllable_anatomy_size": [["spleen", 0.5]]}, "spleen has no size to set"),
    ],
)
def test_what_maisi_cannot_make_is_said(maisi: Path, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        made(maisi, options={"overrides": overrides})


def test_a_missing_collection_and_damaged_tables_are_named(maisi: Path, tmp_path: Path) -> None:
    copied = tmp_path / "maisi"
    shutil.copytree(maisi, copied)
    shutil.rmtree(copied / "datasets")
    with pytest.raises(UnavailableError, match=rf"datasets/{ALL_MASKS}\.zip"):
        made(copied)
    (copied / "configs" / "label_dict.json").write_text("{")
    with pytest.raises(UnavailableError, match=r"label_dict\.json is damaged"):
        made(copied)


def test_making_can_be_stopped(maisi: Path) -> None:
    def stop(done: float, what: str) -> None:
        if what == "removing noise":
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        load(loading(maisi, **CT)).synthesize(None, {}, stop)


def latent_diffusion(dims: int) -> dict[str, Any]:
    """The configuration of the brats_mri generators with small networks."""
    return {
        "imports": ["$import torch", "$from datetime import datetime", "$from pathlib import Path"],
        "bundle_root": ".",
        "model_dir": "$@bundle_root + '/models'",
        "output_dir": "$@bundle_root + '/output'",
        "create_output_dir": "$Path(@output_dir).mkdir(exist_ok=True)",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "output_postfix": "$datetime.now().strftime('sample_%Y%m%d_%H%M%S')",
        "latent_shape": [4, *[8] * dims],
        "autoencoder_def": {
            "_target_": "monai.networks.nets.autoencoderkl.AutoencoderKL", "spatial_dims": dims, "in_channels": 1,
            "out_channels": 1, "latent_channels": 4, "channels": [4, 8], "num_res_blocks": 1, "norm_num_groups": 4,
            "attention_levels": [False, False], "with_encoder_nonlocal_attn": False,
            "with_decoder_nonlocal_attn": False, "include_fc": False,
        },
        "network_def": {
            "_target_": "monai.networks.nets.diffusion_model_unet.DiffusionModelUNet", "spatial_dims": dims,
            "in_channels": 4, "out_channels": 4, "channels": [8, 16], "attention_levels": [False, True],
            "num_head_channels": [0, 8], "num_res_blocks": 1, "norm_num_groups": 4, "include_fc": False,
            "use_combined_linear": False,
        },
        "load_autoencoder_path": "$@bundle_root + '/models/model_autoencoder.pt'",
        "load_autoencoder": "$@autoencoder_def.load_old_state_dict(torch.load(@load_autoencoder_path))",
        "autoencoder": "$@autoencoder_def.to(@device)",
        "load_diffusion_path": "$@model_dir + '/model.pt'",
        "load_diffusion": "$@network_def.load_old_state_dict(torch.load(@load_diffusion_path))",
        "diffusion": "$@network_def.to(@device)",
        "noise_scheduler": {
            "_target_": "monai.networks.schedulers.ddim.DDIMScheduler",
            "_requires_": ["@load_diffusion", "@load_autoencoder"], "num_train_timesteps": 1000, "beta_start": 0.0015,
            "beta_end": 0.0195, "schedule": "scaled_linear_beta", "clip_sample": False,
        },
        "noise": "$torch.randn([1]+@latent_shape).to(@device)",
        "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=3)",
        "inferer": {"_target_": "scripts.ldm_sampler.LDMSampler", "_requires_": "@set_timesteps"},
        "saver": {"_target_": "SaveImage", "_requires_": "@create_output_dir", "output_dir": "@output_dir"},
        "run": ["$@inferer.run(@noise, @autoencoder, @diffusion, @noise_scheduler, @saver)"],
    }  # fmt: skip


@pytest.mark.parametrize("dims", [2, 3])
def test_latent_diffusion_makes_pictures_and_volumes(tmp_path: Path, dims: int) -> None:
    from monai.networks.nets.autoencoderkl import AutoencoderKL
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    config = latent_diffusion(dims)
    torch.manual_seed(5)
    networks = []
    for kind, entry in ((DiffusionModelUNet, "network_def"), (AutoencoderKL, "autoencoder_def")):
        networks.append(kind(**{key: value for key, value in config[entry].items() if key != "_target_"}))
    bundle = write_bundle(tmp_path / "brats", config, networks[0].state_dict())
    torch.save(networks[1].state_dict(), bundle / "models" / "model_autoencoder.pt")
    options = {"spacing_mm": [1.1, 1.1, 1.1], "modality": "MR", "body_part": "HEAD"}
    card = CT | {"options": options}
    found = load(loading(bundle, **card)).synthesize(None, {"seed": 1.0}, silent)
    assert found.image.shape == ((16, 16, 16) if dims == 3 else (16, 16, 1))
    assert found.image.modality == "MR"
    assert found.image.pixel_area_mm2 == pytest.approx(1.21)
    assert not found.image.orientation_known
    again = load(loading(bundle, **card)).synthesize(None, {"seed": 1.0}, silent)
    assert np.array_equal(found.image.array, again.image.array)


def test_an_unknown_sampler_is_refused(tmp_path: Path) -> None:
    config = latent_diffusion(3) | {"inferer": {"_target_": "scripts.sampler.Own"}}
    bundle = write_bundle(tmp_path / "own", config, {})
    with pytest.raises(UnsupportedError, match=r"scripts\.sampler\.Own"):
        load(loading(bundle, **CT))
