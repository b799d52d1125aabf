"""Bundles with every entry of the model zoo's own configurations, held against MONAI's own workflow on the same files.

Only widths and patch sizes are smaller than published. MONAI's parser, evaluator, transforms and checkpoint loader run
each bundle from disk to disk as `monai.bundle run` does; the mask must be equal in every voxel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.bundles import (
    brats_as_shipped,
    loading,
    retinanet_config,
    spleen_as_shipped,
    whole_body_as_shipped,
    write_bundle,
)
from tools.imaging.geometry import to_orientation, voxel_to_world
from tools.imaging.volume import Volume
from tools.models.runtimes.base import silent
from tools.models.runtimes.bundle_config import BundleConfig
from tools.models.runtimes.monai_bundle import Bundle, load

CPU = {"device": torch.device("cpu")}
WHOLE = {str(n): name for n, name in enumerate(("background", "spleen", "kidney_right", "liver", "a", "b", "c"))}
BRATS = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}


def scan(seed: int = 0) -> Volume:
    """Noise with structure, without symmetry, lying as LPS."""
    array = np.random.default_rng(seed).normal(0, 60, (38, 34, 30))
    array[8:24, 10:20, 6:22] += 150
    upright = Volume(
        array.astype(np.int16), np.diag([1.6, 1.4, 2.2, 1.0]), spacing_source="NIfTI header", modality="CT", units="HU"
    )
    return to_orientation(upright, "LPS")


def written(folder: Path, config: dict[str, Any], names: dict[str, str]) -> Path:
    """Write a bundle with random weights whose norms are no identity either."""
    torch.manual_seed(1)
    network = BundleConfig(config, "", "test", given=CPU, own={}).get("network_def")
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point and "running_var" not in name:
            value.add_(torch.randn_like(value) * 0.1)
    return write_bundle(folder, config, network.state_dict(), names)


MONAIS_OWN = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from monai.bundle import ConfigParser
for bundle, replaced in json.loads(sys.argv[1]):
    config = json.load(open(bundle + "/configs/inference.json")) | replaced | {"device": torch.device("cpu")}
    config["evaluator"]["amp"] = False
    parser = ConfigParser(config)
    parser.get_parsed_content("initialize")
    parser.get_parsed_content("run")
"""
"""What `monai.bundle run` does with a configuration, on the CPU and in full precision."""


@dataclass(frozen=True)
class Shipped:
    """A bundle, the images it ran on and the label map that MONAI saved of it."""

    bundle: Path
    volumes: list[Volume]
    expected: np.ndarray


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shipped]:
    """Three bundles, run by MONAI in one process of its own: ignite, which it needs, warns as it is imported."""
    root = tmp_path_factory.mktemp("zoo")
    spleen = {"0": "background", "1": "spleen"}
    parts = {
        "spleen": (spleen_as_shipped(), spleen, [scan()]),
        "whole body": (whole_body_as_shipped(), WHOLE, [scan()]),
        "brats": (brats_as_shipped(), BRATS, [scan(seed) for seed in range(4)]),
    }
    jobs = []
    for name, (config, names, volumes) in parts.items():
        bundle = written(root / name / "bundle", config, names)
        paths = [str(root / name / f"image{number}.nii.gz") for number in range(len(volumes))]
        for path, volume in zip(paths, volumes, strict=True):
            nib.save(nib.Nifti1Image(np.asarray(volume.array, np.float32), volume.affine_ras), path)
        (bundle / "configs" / "datalist.json").write_text(json.dumps({"testing": [{"image": paths}]}))
        replaced = {"bundle_root": str(bundle), "output_dir": str(root / name / "out"), "dataset_dir": ""}
        jobs.append((str(bundle), replaced | ({} if name == "brats" else {"datalist": paths})))
    command = [sys.executable, "-c", MONAIS_OWN, json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    saved = {name: next((root / name / "out").rglob("*.nii.gz")) for name in parts}
    return {
        name: Shipped(root / name / "bundle", volumes, np.asarray(nib.load(saved[name]).dataobj))
        for name, (_config, _names, volumes) in parts.items()
    }


@pytest.mark.parametrize(("name", "targets"), [("spleen", ("spleen",)), ("whole body", tuple(WHOLE.values())[1:])])
def test_masks_equal_those_of_monais_own_run(shipped: dict[str, Shipped], name: str, targets: tuple[str, ...]) -> None:
    case = shipped[name]
    found = load(loading(case.bundle, targets=targets)).segment(case.volumes[0], targets, silent).masks
    for number, target in enumerate(targets, start=1):
        assert np.array_equal(found[target], case.expected == number), target
    shares = [float((case.expected == number).mean()) for number in range(len(targets) + 1)]
    assert sum(0.01 < share < 0.99 for share in shares) >= 2, shares  # the network tells voxels apart


def test_the_four_series_of_brats_give_what_monai_gives(shipped: dict[str, Shipped]) -> None:
    case = shipped["brats"]
    options = {"labels": {"whole": [1, 2, 4], "enhancing": [4], "core": [1, 4]}}
    targets = ("whole", "enhancing", "core")
    card = {"targets": targets, "series": ("T1c", "T1", "T2", "FLAIR"), "options": options}
    found = load(loading(case.bundle, **card)).segment_series(case.volumes, targets, silent).masks
    assert np.array_equal(found["whole"], case.expected > 0)
    assert np.array_equal(found["enhancing"], case.expected == 4)
    assert np.array_equal(found["core"], np.isin(case.expected, (1, 4)))
    assert 0.01 < found["whole"].mean() < 0.99


def test_the_switch_for_a_coarser_network_is_obeyed(tmp_path: Path) -> None:
    """The entry displayable_configs#highres leads to another spacing and another file of weights."""
    bundle = written(tmp_path / "bundle", whole_body_as_shipped(), WHOLE)
    (bundle / "models" / "model.pt").rename(bundle / "models" / "model_lowres.pt")
    opened = Bundle(loading(bundle, options={"overrides": {"displayable_configs#highres": False}}))
    assert opened.spacing_mm() == (3.0, 3.0, 3.0)
    assert opened.network is not None


def test_boxes_lie_in_the_world_where_the_bundles_own_steps_put_them(tmp_path: Path) -> None:
    """The zoo's postprocessing writes centre and size in millimetres, LPS; ours keeps voxels of the image."""
    from tools.models.runtimes.bundle_detection import DetectionBundle

    torch.manual_seed(0)
    config = retinanet_config()
    network = BundleConfig(config, "", "test", given=CPU, own={}).get("network")
    network.classification_head.cls_logits.bias.data.fill_(1.0)
    bundle = write_bundle(tmp_path / "nodules", config, network.state_dict(), {})
    options = {"overrides": {"whether_raw_luna16": True}, "operating_point": 0.5}
    runtime = load(loading(bundle, verb="detect", targets=("nodule",), options=options))
    assert isinstance(runtime, DetectionBundle)
    volume = scan()
    boxes = runtime.detect(volume, "nodule", silent)

    image = runtime.bundle.prepare((volume,))["image"]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.bundle import ConfigParser

        found = runtime._detector([image.as_tensor()], use_inferer=False)[0]
        post = ConfigParser({"image_key": "image", "postprocessing": config["postprocessing"]})
        world = post.get_parsed_content("postprocessing")({**found, "image": image})["box"].numpy()
    assert len(boxes) == len(world) > 3

    def inside(corner: np.ndarray) -> np.ndarray:
        last = np.array(volume.shape) - 1
        voxels = np.linalg.solve(volume.affine_ras[:3, :3], corner - volume.affine_ras[:3, 3])
        return np.asarray(voxel_to_world(volume, np.clip(voxels, 0, last)))

    flip = np.array([-1.0, -1.0, 1.0])
    expected = sorted(
        tuple(np.sort([inside(flip * (row[:3] - row[3:] / 2)), inside(flip * (row[:3] + row[3:] / 2))], 0).ravel())
        for row in world.astype(np.float64)
    )
    ours = sorted(
        tuple(
            np.sort([voxel_to_world(volume, np.array(b.lower)), voxel_to_world(volume, np.array(b.upper))], 0).ravel()
        )
        for b in boxes
    )
    assert np.allclose(ours, expected, atol=0.05)
