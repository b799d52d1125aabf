from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bundles import loading, vista3d_config, write_bundle
from tests.phantoms_ct import dice
from tools.errors import BadInputError
from tools.imaging.geometry import to_orientation, voxel_to_world, world_to_voxel
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Prompt
from tools.models.runtimes.bundle_config import BundleConfig
from tools.models.runtimes.monai_bundle import load, meta_tensor

NAMES = {"0": "background", "3": "spleen", "5": "right kidney", "20": "lung"}
OPTIONS = {"labels": {"kidney_right": [5], "lungs": [20]}}
INSIDE = (8.0, 10.0, 7.0)


def quiet(done: float, what: str) -> None:
    """Progress that nobody watches."""


def scan() -> Volume:
    array = np.random.default_rng(0).normal(0, 20, (24, 22, 20)).astype(np.int16)
    array[4:12, 6:15, 3:11] += 90
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    return Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose class head knows three labels apart: trained for a few steps on the phantom."""
    torch.manual_seed(0)
    config = vista3d_config()
    given = {"device": torch.device("cpu")}
    network = BundleConfig(config, "", "test", given=given, own={}).get("network_def")
    image = (torch.from_numpy(scan().array[2:18, 2:18, 2:18].astype(np.float32))[None, None] + 57).clip(0, 221) / 221
    inside = torch.zeros(16, 16, 16)
    inside[2:10, 4:13, 1:9] = 1
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(25):
        optimizer.zero_grad()
        logits = network(image, class_vector=torch.tensor([[3], [5]]))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.stack([inside, 1 - inside]))
        loss.backward()
        optimizer.step()
    return write_bundle(tmp_path_factory.mktemp("vista") / "vista3d", config, network.state_dict(), NAMES)


def runtime_of(bundle: Path) -> Any:
    card = {"targets": ("spleen", "kidney_right", "lungs"), "prompts": ("points",)}
    return load(loading(bundle, options=OPTIONS, **card))


def test_label_prompts_give_masks_by_name(bundle: Path) -> None:
    volume = scan()
    masks = runtime_of(bundle).segment(volume, ["kidney_right", "spleen"], quiet).masks
    inside = np.zeros(volume.shape, bool)
    inside[4:12, 6:15, 3:11] = True
    assert dice(masks["spleen"], inside) > 0.7
    assert dice(masks["kidney_right"], ~inside) > 0.7
    assert not (masks["spleen"] & masks["kidney_right"]).any()


def test_a_label_that_the_bundle_splits_is_put_together(bundle: Path) -> None:
    masks = runtime_of(bundle).segment(scan(), ["lungs"], quiet).masks
    both = runtime_of(bundle).segment(scan(), ["spleen", "kidney_right"], quiet).masks
    assert np.array_equal(masks["lungs"], both["spleen"] | both["kidney_right"])


@pytest.mark.parametrize("codes", ["LPS", "SAR"])
def test_masks_lie_on_the_image_however_it_lies(bundle: Path, codes: str) -> None:
    volume = to_orientation(scan(), codes)
    found = runtime_of(bundle).segment(volume, ["spleen"], quiet).masks["spleen"]
    bright = np.zeros(scan().shape, np.uint8)
    bright[4:12, 6:15, 3:11] = 1
    expected = to_orientation(scan().with_array(bright), codes).array > 0
    assert dice(found, expected) > 0.7


def reference_point_mask(bundle: Path, volume: Volume, point: tuple[float, float, float]) -> np.ndarray:
    """What MONAI's own parser, transforms and inferer give for a click, without any code of ours but the reader's."""
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.bundle import ConfigParser
    from monai.transforms import reset_ops_id

    config = json.loads((bundle / "configs" / "inference.json").read_text())
    config |= {
        "bundle_root": str(bundle),
        "device": torch.device("cpu"),
        "imports": ["$import copy", "$import json", "$import pathlib"],
    }
    config["preprocessing_transforms"] = config["preprocessing_transforms"][1:]
    config["postprocessing"]["transforms"] = config["postprocessing"]["transforms"][:-1]
    parser = ConfigParser(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pre, post = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("postprocessing")
        network = parser.get_parsed_content("network_def").eval()
        network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
        data = pre({"image": meta_tensor((volume,))})
        image = reset_ops_id(data["image"])
        to_new = np.linalg.inv(image.affine.numpy()) @ volume.affine_ras
        moved = to_new @ np.array([*point, 1.0])
        coords = torch.tensor([[moved[:3]]], dtype=torch.float32)
        labels = torch.tensor([[1]])
        with torch.no_grad():
            data["pred"] = point_based_window_inferer(
                image[None],
                [16, 16, 16],
                network,
                coords,
                labels,
                transpose=True,
                with_coord=True,
                labels=None,
                label_set=None,
            )[0]
        data |= {"points": coords, "point_labels": labels}
        return np.asarray(post(data)["pred"][0]) == 1


def test_a_click_gives_what_monai_gives_for_it(bundle: Path) -> None:
    found = runtime_of(bundle).segment_prompted(scan(), Prompt(points=(INSIDE,)), quiet)
    assert np.array_equal(found, reference_point_mask(bundle, scan(), INSIDE))


def test_a_click_means_the_same_place_in_every_orientation(bundle: Path) -> None:
    runtime = runtime_of(bundle)
    turned = to_orientation(scan(), "LPS")
    there = world_to_voxel(turned, voxel_to_world(scan(), np.array(INSIDE)))
    one = runtime.segment_prompted(scan(), Prompt(points=(INSIDE,)), quiet)
    other = runtime.segment_prompted(turned, Prompt(points=(tuple(there),)), quiet)
    back = to_orientation(turned.with_array(other.astype(np.uint8)), "RAS").array > 0
    assert np.mean(back == one) > 0.97


def test_other_prompts_are_refused(bundle: Path) -> None:
    with pytest.raises(BadInputError, match="points inside"):
        runtime_of(bundle).segment_prompted(scan(), Prompt(text="spleen"), quiet)
