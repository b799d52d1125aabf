from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bundles import loading, retinanet_config, write_bundle
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import Volume
from tools.models.runtimes.bundle_config import BundleConfig
from tools.models.runtimes.monai_bundle import load

OPTIONS: dict[str, Any] = {"overrides": {"whether_raw_luna16": True}, "operating_point": 0.5}


def quiet(done: float, what: str) -> None:
    """Progress that nobody watches."""


def scan() -> Volume:
    array = np.full((40, 36, 30), -57, np.int16)
    array[10:18, 22:28, 6:12] = 164
    affine = np.diag([1.5, 1.5, 2.0, 1.0])
    affine[:3, 3] = (-20, 30, 100)
    return Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with random weights whose every anchor says yes: sigmoid(2) = 0.88."""
    torch.manual_seed(0)
    config = retinanet_config()
    weights = (
        BundleConfig(config, "", "test", given={"device": torch.device("cpu")}, own={}).get("network").state_dict()
    )
    weights["classification_head.cls_logits.weight"].zero_()
    weights["classification_head.cls_logits.bias"].fill_(2.0)
    return write_bundle(tmp_path_factory.mktemp("nodules") / "lung_nodule_ct_detection", config, weights, {})


def runtime_of(bundle: Path, **options: Any) -> Any:
    return load(loading(bundle, verb="detect", targets=("nodule",), options=OPTIONS | options))


def test_the_detector_runs_as_configured(bundle: Path) -> None:
    boxes = runtime_of(bundle).detect(scan(), "nodule", quiet)
    assert 1 <= len(boxes) <= 20
    for box in boxes:
        assert box.label == "nodule"
        assert box.score == pytest.approx(0.8808, abs=1e-3)
        assert all(0 <= low <= high <= n - 1 for low, high, n in zip(box.lower, box.upper, scan().shape, strict=True))


def test_nothing_above_the_operating_point_is_an_empty_result(bundle: Path) -> None:
    assert runtime_of(bundle, operating_point=0.95).detect(scan(), "nodule", quiet) == ()


class BrightBlock:
    """A detector that boxes what is bright in what it is given."""

    target_box_key, target_label_key, pred_score_key, inferer = "box", "label", "label_scores", None

    def __call__(self, inputs: list[torch.Tensor], use_inferer: bool) -> list[dict[str, torch.Tensor]]:
        self.seen = inputs[0]
        voxels = torch.nonzero(inputs[0][0] > 0.5).float()
        box = torch.cat([voxels.min(0).values, voxels.max(0).values])
        far = torch.tensor([500.0, 500, 500, 510, 510, 510])
        return [
            {"box": torch.stack([far, box]), "label": torch.tensor([0, 0]), "label_scores": torch.tensor([0.9, 0.7])}
        ]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "IPL"])
def test_boxes_lie_on_the_images_own_voxels(bundle: Path, codes: str) -> None:
    runtime = runtime_of(bundle)
    runtime._detector = BrightBlock()
    volume = to_orientation(scan(), codes)
    boxes = runtime.detect(volume, "nodule", quiet)
    assert [box.score for box in boxes] == [pytest.approx(0.7)]
    bright = np.argwhere(volume.array > 100)
    assert boxes[0].lower == pytest.approx(tuple(bright.min(0)), abs=0.05)
    assert boxes[0].upper == pytest.approx(tuple(bright.max(0)), abs=0.05)


def test_the_image_is_resampled_to_the_networks_spacing(bundle: Path) -> None:
    runtime = runtime_of(bundle)
    runtime._detector = BrightBlock()
    coarse = Volume(scan().array, np.diag([3.0, 3.0, 4.0, 1.0]), spacing_source="NIfTI header", modality="CT")
    found = runtime.detect(coarse, "nodule", quiet)[0]
    assert runtime._detector.seen.shape[1:] == (79, 71, 59)
    assert found.lower == pytest.approx((9.5, 21.5, 5.5), abs=0.6)
    assert found.upper == pytest.approx((17.5, 27.5, 11.5), abs=0.6)
