from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.phantoms_ct import dice
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.runtimes.base import Loading
from tools.models.runtimes.nnunet import load
from tools.models.runtimes.nnunet_plans import Plans
from tools.models.runtimes.nnunet_steps import prepared, resample

pytest.importorskip("dynamic_network_architectures")

NETWORK = {
    "n_stages": 2,
    "features_per_stage": [4, 8],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "n_conv_per_stage": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
    "norm_op": None,
    "norm_op_kwargs": None,
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}


def quiet(done: float, what: str) -> None:
    """Progress that nobody watches."""


def plans_of(**configuration: Any) -> dict[str, Any]:
    """The plans of an nnU-Net 2 folder, cut to what it needs."""
    chosen = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "patch_size": [16, 16, 16],
        "spacing": [2.0, 1.5, 1.5],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": NETWORK,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    intensity = {"mean": 40.0, "std": 100.0, "percentile_00_5": -200.0, "percentile_99_5": 400.0}
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    return {
        "dataset_name": "Dataset900_Test",
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {"0": intensity},
        "configurations": {"3d_fullres": chosen | configuration, "3d_cascade_fullres": cascade},
    }  # fmt: skip


def scan() -> Volume:
    """Two blocks of different density, placed so that no flip of the axes gives the same picture."""
    array = np.random.default_rng(0).normal(0, 10, (26, 22, 18)).astype(np.int16)
    array[3:11, 4:10, 2:8] += 150
    array[14:22, 9:18, 9:15] += 300
    affine = np.diag([1.5, 1.5, 2.0, 1.0])
    return Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")


def truth() -> dict[str, np.ndarray]:
    spleen, liver = np.zeros(scan().shape, bool), np.zeros(scan().shape, bool)
    spleen[3:11, 4:10, 2:8] = True
    liver[14:22, 9:18, 9:15] = True
    return {"spleen": spleen, "liver": liver}


def trained(plans: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Train the plans' network for a few steps on the phantom."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    torch.manual_seed(0)
    layers = {"conv_op": torch.nn.Conv3d, "nonlin": torch.nn.LeakyReLU}
    network = PlainConvUNet(input_channels=1, num_classes=3, deep_supervision=False, **(NETWORK | layers))
    data, _ = prepared([scan()], Plans.read(plans, "3d_fullres", "test"))
    image = torch.from_numpy(data)[None, :, :16, :22, :26]
    labels = torch.from_numpy((truth()["spleen"] + 2 * truth()["liver"]).transpose(2, 1, 0)[None, :16]).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    balance = torch.tensor([1.0, 8.0, 4.0])
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(image), labels, balance).backward()
        optimizer.step()
    return network.state_dict()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder as nnU-Net leaves it, trained here."""
    root = tmp_path_factory.mktemp("nnunet") / "model"
    folder = root / "Dataset900_Test" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans_of()))
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "spleen": 1, "liver": 2},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = {
        "network_weights": trained(plans_of()),
        "init_args": {"configuration": "3d_fullres", "fold": 0},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
        "logging": {"mean_fg_dice": [np.float64(0.9)], "epoch": [np.int64(3)]},
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def folder_of(root: Path) -> Path:
    return next(root.rglob("plans.json")).parent


def runtime_of(root: Path, **options: Any) -> Any:
    given = {"name": "test-nnunet", "title": "Test", "verb": "segment", "runtime": "nnunet", "version": "2"}
    more = {"targets": ("spleen", "liver"), "seconds": 1, "licence": "MIT", "source": "test", "options": options}
    return load(Loading(ModelCard.model_validate(given | more), {"model": root}, "cpu"))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPR"])
def test_masks_by_name_on_the_image_however_it_lies(made: Path, codes: str) -> None:
    volume = to_orientation(scan(), codes)
    masks = runtime_of(made).segment(volume, ["liver", "spleen"], quiet).masks
    for target, expected in truth().items():
        turned = to_orientation(scan().with_array(expected.astype(np.uint8)), codes).array > 0
        assert masks[target].shape == volume.shape
        assert dice(masks[target], turned) > 0.8, target


def test_another_spacing_is_resampled_there_and_back(made: Path) -> None:
    fine = np.repeat(np.repeat(scan().array, 2, axis=0), 2, axis=1)
    affine = np.diag([0.75, 0.75, 2.0, 1.0])
    volume = Volume(fine, affine, spacing_source="NIfTI header", modality="CT")
    mask = runtime_of(made).segment(volume, ["liver"], quiet).masks["liver"]
    assert dice(mask, np.repeat(np.repeat(truth()["liver"], 2, axis=0), 2, axis=1)) > 0.8


def test_mirrored_copies_are_averaged_where_the_card_says_so(made: Path) -> None:
    mask = runtime_of(made, mirror=True).segment(scan(), ["liver"], quiet).masks["liver"]
    assert dice(mask, truth()["liver"]) > 0.8


def test_only_the_folders_asked_for_are_run(root: Path) -> None:
    """As TotalSegmentator's parts: a second folder with other labels, whose network would fail."""
    other = root / "Dataset901_Part2" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    shutil.copytree(folder_of(root), other)
    dataset = json.loads((other / "dataset.json").read_text()) | {"labels": {"background": 0, "aorta": 1, "heart": 2}}
    (other / "dataset.json").write_text(json.dumps(dataset))
    runtime = runtime_of(root)
    runtime._folders[1].networks = [lambda patches: 1 / 0]
    assert dice(runtime.segment(scan(), ["liver"], quiet).masks["liver"], truth()["liver"]) > 0.8
    with pytest.raises(ZeroDivisionError):
        runtime.segment(scan(), ["aorta"], quiet)


def edit(path: Path, change: Any) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_networks_and_layers_from_elsewhere_are_refused(root: Path) -> None:
    plans = folder_of(root) / "plans.json"
    edit(plans, lambda p: p["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(norm_op="os.system"))
    with pytest.raises(UnsupportedError, match=r"os\.system"):
        runtime_of(root)
    edit(
        plans, lambda p: p["configurations"]["3d_fullres"]["architecture"].update(network_class_name="subprocess.Popen")
    )
    with pytest.raises(UnsupportedError, match=r"subprocess\.Popen"):
        runtime_of(root)


def test_what_is_not_supported_is_said(root: Path) -> None:
    with pytest.raises(UnsupportedError, match="no trained configuration '2d'; there are: 3d_fullres"):
        runtime_of(root, configuration="2d")


class Payload:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it ran",))


def test_damaged_folders_say_what_is_wrong(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = folder_of(root) / "fold_0" / "checkpoint_final.pth"
    good = torch.load(checkpoint, weights_only=False)
    torch.save(good | {"optimizer_state": Payload()}, checkpoint)
    with pytest.raises(UnavailableError, match="more than tensors"):
        runtime_of(root)
    assert capsys.readouterr().out == ""
    first = next(iter(good["network_weights"]))
    torch.save({"network_weights": good["network_weights"] | {first: torch.zeros(2, 2)}}, checkpoint)
    with pytest.raises(UnavailableError, match="does not fit its plans: size mismatch"):
        runtime_of(root)
    checkpoint.write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match=r"fold_0/checkpoint_final\.pth"):
        runtime_of(root)
    checkpoint.unlink()
    with pytest.raises(UnavailableError, match="no fold_"):
        runtime_of(root)
    (folder_of(root) / "plans.json").unlink()
    with pytest.raises(UnavailableError, match="no nnU-Net result folder"):
        runtime_of(root)


def test_an_empty_image_is_refused(made: Path) -> None:
    empty = scan().with_array(np.zeros(scan().shape, np.int16))
    with pytest.raises(BadInputError, match="every voxel of the image is zero"):
        runtime_of(made).segment(empty, ["liver"], quiet)


def test_a_coarse_axis_is_resampled_by_itself() -> None:
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None], (4, 6, 6)).copy()
    finer = resample(ramp, (8, 6, 6), (6.0, 1.0, 1.0), (3.0, 1.0, 1.0), 3, 0)
    assert finer[:, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    isotropic = resample(ramp, (8, 6, 6), (2.0, 1.0, 1.0), (1.0, 1.0, 1.0), 1, 0)
    assert isotropic[:, 0, 0] == pytest.approx([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], abs=1e-5)
