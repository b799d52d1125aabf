"""`readingroom train`: folders of labelled images become models that `models list` knows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume


@pytest.fixture
def _weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("READINGROOM_WEIGHTS_DIR", str(tmp_path / "weights"))


@pytest.mark.usefixtures("_weights")
def test_a_folder_a_label_becomes_a_classifier(run_cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("bright", 200)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(5):
            pixels = rng.normal(100, 10, (48, 40))
            pixels[10:20, 10:20] = level
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "data" / label / f"{n}.png")
    done = run_cli("train", tmp_path / "data", "--epochs", 1, "--json")
    assert done.code == 0, done.err
    card = json.loads(done.out)
    assert (card["name"], card["verb"], card["targets"]) == ("bright-dark-own", "classify", ["bright", "dark"])
    listed = json.loads(run_cli("models", "list", "--json").out)
    assert next(m for m in listed if m["name"] == card["name"])["state"] == "ready"


@pytest.mark.usefixtures("_weights")
def test_a_mask_of_another_grid_is_one_line(run_cli, tmp_path: Path) -> None:
    for name, shape in (("images", (16, 16, 12)), ("labels", (16, 16, 11))):
        (tmp_path / "data" / name).mkdir(parents=True)
        array = np.ones(shape, np.int16)
        write_nifti(tmp_path / "data" / name / "a.nii.gz", array, Volume(array, np.eye(4), "NIfTI header"))
    done = run_cli("train", tmp_path / "data", "--target", "lesion")
    assert done.code == 2
    assert "labels/a.nii.gz does not lie on the grid of its image: (16, 16, 11) against (16, 16, 12)" in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("_weights")
def test_a_folder_of_neither_kind_says_what_is_expected(run_cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = run_cli("train", tmp_path / "data")
    assert done.code == 2
    assert "'images' and 'labels'" in done.err
