"""Exports land on the same world points and say what they cannot hold."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest

from tools.errors import UnsupportedError
from tools.testing import chest_phantom
from tools.verbs.export import export


def test_a_mask_as_nifti_keeps_voxels_and_world_points(make_ctx, workspace) -> None:
    ctx = make_ctx()
    result = export(ctx, artifacts=["s1"], format="nifti")
    assert result.files == ("s1-lungs.nii.gz",)
    image = nibabel.load(ctx.folder / "s1-lungs.nii.gz")
    _, lungs = chest_phantom()
    assert np.array_equal(np.asarray(image.dataobj) != 0, lungs)
    assert np.allclose(image.affine, workspace.volume("img1").affine_ras)


def test_an_image_as_nifti_keeps_its_values(make_ctx) -> None:
    ctx = make_ctx()
    export(ctx, artifacts=["img1"], format="nifti")
    array, _ = chest_phantom()
    assert np.array_equal(np.asarray(nibabel.load(ctx.folder / "img1.nii.gz").dataobj), array)


def test_measurements_as_csv(make_ctx, workspace) -> None:
    ctx = make_ctx()
    export(ctx, artifacts=["s2"], format="csv")
    with (ctx.folder / "s2-measurements.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["value"]) == workspace.artifact("s2").data["rows"][0]["value"]
    assert (row["target"], row["unit"], row["spacing_source"]) == ("lungs", "ml", "NIfTI header")


def test_anything_as_json_with_its_provenance(make_ctx) -> None:
    ctx = make_ctx()
    result = export(ctx, artifacts=["s1", "s2", "img1"], format="json")
    assert result.files == ("s1.json", "s2.json", "img1.json")
    data = json.loads((ctx.folder / "s2.json").read_text())
    assert data["provenance"]["tool"] == "phantom"
    assert data["marks"] == ["mock"]


@pytest.mark.parametrize(
    ("artifact", "form", "said"),
    [
        ("s1", "csv", "csv holds measurements and comparisons: choose json"),
        ("s2", "nifti", "nifti holds images and masks"),
        ("s2", "png", "has no picture"),
    ],
)
def test_what_a_format_cannot_hold_is_said(make_ctx, artifact, form, said) -> None:
    with pytest.raises(UnsupportedError, match=said):
        export(make_ctx(), artifacts=[artifact], format=form)


def test_a_cell_that_begins_like_a_formula_is_kept_as_text(make_ctx, workspace) -> None:
    path = workspace.step_folder("s2") / "artifact.json"
    path.write_text(path.read_text().replace('"lungs"', '"=HYPERLINK(1)"'))
    ctx = make_ctx()
    export(ctx, artifacts=["s2"], format="csv")
    assert "'=HYPERLINK(1)" in (ctx.folder / "s2-measurements.csv").read_text()
