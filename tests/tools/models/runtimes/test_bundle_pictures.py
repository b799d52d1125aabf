"""Bundles for single pictures and for slices: the layouts of endoscopic_* and ventricular_short_axis_3label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bundles import FIRST, INVERT, SAVE, convolution, loading, spleen_config, write_bundle
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.models.runtimes.base import silent
from tools.models.runtimes.monai_bundle import load

COLOURED = [FIRST[0], {"_target_": "EnsureChannelFirstd", "keys": "@image_key", "channel_dim": -1}]
RESIZED = {"_target_": "Resized", "keys": "@image_key", "spatial_size": [32, 24], "mode": "bilinear"}
SCALED = {"_target_": "ScaleIntensityd", "keys": "@image_key"}


def flat(channels_in: int, channels_out: int) -> dict[str, Any]:
    return convolution(channels_in, channels_out) | {"spatial_dims": 2}


def picture(*, colour: bool = True) -> Volume:
    """A picture 64 across, 48 down, with a bright rectangle at the upper right; red only where it is in colour."""
    pixels = np.zeros((64, 48, 1), np.uint8)
    pixels[40:60, 4:16] = 255
    if colour:
        pixels = np.stack([pixels, np.zeros_like(pixels), np.zeros_like(pixels)], axis=-1)
    return Volume(pixels, np.diag([1.0, -1.0, 1.0, 1.0]), modality="ES", header=ORIENTATION_UNKNOWN)


def tool_config() -> dict[str, Any]:
    """The configuration of endoscopic_tool_segmentation with one convolution."""
    post = [
        {**INVERT, "meta_key_postfix": "meta_dict"},
        {"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]},
        {"_target_": "Lambdad", "keys": ["pred"], "func": "$lambda x : x[1:]"},
        {**SAVE, "scale": 255, "squeeze_end_dims": True},
    ]
    return spleen_config() | {
        "network_def": flat(3, 2),
        "preprocessing": {"_target_": "Compose", "transforms": [*COLOURED, RESIZED, SCALED]},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": post},
    }


def red_weights(channels_out: int = 2) -> dict[str, torch.Tensor]:
    weight = torch.zeros(channels_out, 3, 1, 1)
    weight[1, 0] = 20.0
    return {"conv.weight": weight, "conv.bias": torch.tensor([0.0, -10.0])}


def write_flat(folder: Path, config: dict[str, Any], weights: dict[str, Any], channels: dict[str, str]) -> Path:
    import json

    write_bundle(folder, config, weights, channels)
    file = folder / "configs" / "metadata.json"
    data = json.loads(file.read_text())
    data["network_data_format"]["inputs"] = {"image": {"num_channels": 3, "spatial_shape": [32, 24]}}
    file.write_text(json.dumps(data))
    return folder


@pytest.fixture
def tools_bundle(tmp_path: Path) -> Path:
    return write_flat(tmp_path / "tool", tool_config(), red_weights(), {"0": "background", "1": "tools"})


def test_a_picture_is_segmented_on_its_own_pixels(tools_bundle: Path) -> None:
    runtime = load(loading(tools_bundle, targets=("tools",), modality=("ES",), dims=(2,)))
    found = runtime.segment(picture(), ["tools"], silent).masks["tools"]
    assert found.shape == (64, 48, 1)
    inner = np.zeros_like(found)
    inner[42:58, 6:14] = True
    assert found[inner].all()
    outer = np.zeros_like(found)
    outer[38:62, 2:18] = True
    assert not found[~outer].any()


def test_what_a_picture_network_cannot_use_is_said(tools_bundle: Path) -> None:
    runtime = load(loading(tools_bundle, targets=("tools",), modality=("ES",), dims=(2,)))
    with pytest.raises(UnsupportedError, match="needs a colour picture, got a gray one"):
        runtime.segment(picture(colour=False), ["tools"], silent)
    volume = Volume(np.zeros((8, 8, 8), np.uint8), np.eye(4), spacing_source="NIfTI header")
    with pytest.raises(UnsupportedError, match="single pictures, got a volume"):
        runtime.segment(volume, ["tools"], silent)


def test_a_picture_is_classified_with_the_metadatas_names(tmp_path: Path) -> None:
    config = spleen_config() | {
        "network_def": {"_target_": "DenseNet", "spatial_dims": 2, "in_channels": 3, "out_channels": 2,
                        "init_features": 4, "growth_rate": 2, "block_config": [1]},
        "preprocessing": {"_target_": "Compose", "transforms": [*COLOURED, RESIZED, SCALED]},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]},
            {"_target_": "SaveClassificationd", "keys": "pred", "output_dir": "@output_dir"},
        ]},
    }  # fmt: skip
    from monai.networks.nets import DenseNet

    torch.manual_seed(0)
    network = DenseNet(spatial_dims=2, in_channels=3, out_channels=2, init_features=4, growth_rate=2, block_config=(1,))
    names = {"0": "in body", "1": "out body"}
    bundle = write_flat(tmp_path / "inbody", config, network.state_dict(), names)
    fields = {"verb": "classify", "modality": ("ES",), "dims": (2,), "options": {"operating_points": {"in_body": 0.5}}}
    runtime = load(loading(bundle, targets=("in_body", "out_body"), **fields))
    rows = {row.label: row for row in runtime.classify(picture(), (), silent)}
    assert sum(row.score for row in rows.values()) == pytest.approx(1)
    assert rows["in_body"].operating_point == 0.5
    assert [row.label for row in runtime.classify(picture(), ("out_body",), silent)] == ["out_body"]
    unnamed = '{"network_data_format": {"inputs": {"image": {"num_channels": 3}}}}'
    (bundle / "configs" / "metadata.json").write_text(unnamed)
    with pytest.raises(UnavailableError, match="2 scores, 0 are named"):
        load(loading(bundle, targets=("in_body", "out_body"), **fields)).classify(picture(), (), silent)


def test_a_network_of_slices_goes_through_a_volume(tmp_path: Path) -> None:
    """Bright blocks in some slices of a volume of 5 slices, 20 × 24: smaller than the window of 32 × 32."""
    config = spleen_config() | {
        "network_def": flat(1, 2),
        "preprocessing": {"_target_": "Compose", "transforms": [*FIRST, SCALED]},
        "inferer": {"_target_": "SliceInferer", "roi_size": [32, 32], "spatial_dim": 2},
    }
    weight = torch.tensor([0.0, 20.0]).reshape(2, 1, 1, 1)
    weights = {"conv.weight": weight, "conv.bias": torch.tensor([0.0, -10.0])}
    bundle = write_bundle(tmp_path / "heart", config, weights, {"0": "background", "1": "lv_pool"})
    array = np.zeros((20, 24, 5), np.int16)
    array[3:9, 10:20, 1:4] = 500
    volume = Volume(array, np.diag([1.5, 1.5, 8.0, 1.0]), spacing_source="NIfTI header", modality="MR")
    options = {"labels": {"heart_ventricle_left": [1]}}
    runtime = load(loading(bundle, targets=("heart_ventricle_left",), modality=("MR",), options=options))
    found = runtime.segment(volume, ["heart_ventricle_left"], silent).masks["heart_ventricle_left"]
    assert np.array_equal(found, array > 0)
    with pytest.raises(BadInputError, match="NaN"):
        runtime.segment(volume.with_array(np.full(array.shape, np.nan, np.float32)), ["heart_ventricle_left"], silent)


def test_a_searched_architecture_is_read_from_the_bundle(tmp_path: Path) -> None:
    """As in pancreas_ct_dints_segmentation: arrays in a file beside the weights say which branches exist."""
    from monai.networks.nets import DiNTS, TopologyInstance

    nodes = np.ones((3, 2))
    code = [np.ones((2, 4)), np.ones((2, 4))]
    space = {"channel_mul": 0.25, "num_blocks": 2, "num_depths": 2, "use_downsample": True}
    config = spleen_config() | {
        "arch_ckpt_path": "$@bundle_root + '/models/search_code_18590.pt'",
        "arch_ckpt": "$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))",
        "dints_space": {
            "_target_": "monai.networks.nets.TopologyInstance", **space, "device": "$torch.device('cuda')",
            "arch_code": ["$@arch_ckpt['arch_code_a']", "$@arch_ckpt['arch_code_c']"],
        },
        "network_def": {
            "_target_": "monai.networks.nets.DiNTS", "dints_space": "@dints_space", "in_channels": 1, "num_classes": 2,
            "use_downsample": True, "node_a": "$torch.from_numpy(@arch_ckpt['node_a'])",
        },
    }  # fmt: skip
    made = DiNTS(TopologyInstance(**space, arch_code=code, device="cpu"), 1, 2, use_downsample=True,
                 node_a=torch.from_numpy(nodes))  # fmt: skip
    bundle = write_bundle(tmp_path / "dints", config, made.state_dict())
    found = {"arch_code_a": code[0], "arch_code_c": code[1], "node_a": nodes}
    torch.save(found, bundle / "models" / "search_code_18590.pt")
    array = np.zeros((32, 32, 32), np.int16)
    volume = Volume(array, np.diag([1.5, 1.5, 2.0, 1.0]), spacing_source="NIfTI header", modality="CT")
    masks = load(loading(bundle)).segment(volume, ["spleen"], silent).masks
    assert masks["spleen"].shape == array.shape
