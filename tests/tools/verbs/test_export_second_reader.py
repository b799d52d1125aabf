"""DICOM SEG and SR read back by dcmqi, another author's reader in C++ over DCMTK: same voxels, same numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.phantoms import oblique_affine, phantom_volume, write_dicom_series
from tools.contract import ToolContext
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.results import MaskEntry, Masks, Measurement, Measurements
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance, Workspace

ORIENTATIONS = {
    "oblique": oblique_affine(),
    "coronal": np.array([[-0.8, 0, 0, 30], [0, 0, 2.0, -20], [0, -0.9, 0, 100], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[0, 0, 1.5, -12], [-0.7, 0, 0, 40], [0, -0.7, 0, 5], [0, 0, 0, 1.0]]),
    "feet first": np.array([[-0.7, 0, 0, 9], [0, 0.7, 0, 3], [0, 0, -2.5, 70], [0, 0, 0, 1.0]]),
}


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed; pip install dcmqi")
    return found


@pytest.fixture
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ToolContext, dict[str, np.ndarray]]:
    """Two masks without symmetry and their measurements, exported as SEG and SR."""
    write_dicom_series(tmp_path / "series", phantom_volume((9, 8, 6), ORIENTATIONS[request.param]))
    workspace = Workspace(tmp_path / "reading")
    workspace.add_attachment(tmp_path / "series", AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3))
    volume = workspace.volume("img1")
    left, right = np.zeros(volume.shape, bool), np.zeros(volume.shape, bool)
    left[1:3, 2:5, 1], left[1, 2, 2] = True, True
    right[4:6, 0:2, 2:4], right[7, 6, 5] = True, True
    masks = {"lung_left": left, "lung_right": right}
    for name, inside in masks.items():
        write_nifti(workspace.step_folder("s1") / f"{name}.nii.gz", inside, volume)
    entries = tuple(MaskEntry(target=n, file=f"{n}.nii.gz", voxels=int(m.sum())) for n, m in masks.items())
    row = {"quantity": "volume", "unit": "ml", "image": "img1", "mask": "s1", "method": "phantom"}
    rows = tuple(
        Measurement(target=n, value=float(m.sum()) / 7, spacing_source="PixelSpacing", **row) for n, m in masks.items()
    )
    for step, result in (
        ("s1", Masks(summary="Masks.", image="img1", masks=entries)),
        ("s2", Measurements(summary="Measured.", rows=rows)),
    ):
        data = result.model_dump(mode="json")
        made = Provenance(tool="phantom", tool_version="1", params={}, inputs=("img1",))
        workspace.add_artifact(Artifact(id=step, kind=result.kind, summary="x", data=data, provenance=made))
    ctx = ToolContext(workspace, "s9", None, None, None)
    export(ctx, artifacts=["s2"], format="dicom-sr")
    return ctx, masks


@pytest.mark.parametrize("exported", ORIENTATIONS, indirect=True)
def test_another_reader_finds_the_same_voxels(exported, tmp_path: Path) -> None:
    ctx, masks = exported
    out = tmp_path / "read"
    out.mkdir()
    command = [program("segimage2itkimage"), "--inputDICOM", str(ctx.folder / "s1-seg.dcm"), "--outputType", "nii"]
    subprocess.run([*command, "--outputDirectory", str(out)], check=True, capture_output=True)

    affine = ctx.workspace.volume("img1").affine_ras
    files = sorted(out.glob("*.nii*"))
    assert len(files) == 2
    for file, inside in zip(files, masks.values(), strict=True):
        image = nibabel.load(file)
        there = np.argwhere(np.asarray(image.dataobj) > 0) @ image.affine[:3, :3].T + image.affine[:3, 3]
        here = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
        assert len(there) == len(here)
        assert cKDTree(there).query(here)[0].max() < 0.01


@pytest.mark.parametrize("exported", ["oblique"], indirect=True)
def test_another_reader_finds_the_same_numbers(exported, tmp_path: Path) -> None:
    ctx, masks = exported
    found = tmp_path / "sr.json"
    command = [program("tid1500reader"), "--inputDICOM", str(ctx.folder / "s2-sr.dcm"), "--outputMetadata", str(found)]
    subprocess.run(command, check=True, capture_output=True)
    groups = json.loads(found.read_text())["Measurements"]
    said = [
        (m["quantity"]["CodeMeaning"], float(m["value"]), m["units"]["CodeValue"])
        for g in groups
        for m in g["measurementItems"]
    ]
    assert said == [("Volume", pytest.approx(m.sum() / 7, rel=1e-6), "mL") for m in masks.values()]
