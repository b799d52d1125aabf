"""Every export says that it is for research, and keeps the marks of what it was made from."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from tools.changes import Change, ChangeRow
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.results import Image as Made
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance

FORMS = [
    ("s1", "nifti"), ("s1", "stl"), ("s1", "obj"), ("s1", "json"), ("s1", "dicom-seg"), ("s2", "csv"), ("s2", "json"),
    ("s2", "dicom-sr"), ("s2", "pdf"), ("s2", "docx"), ("s2", "fhir"), ("s7", "nifti"), ("s7", "png"), ("s7", "json"),
    ("s2", "html"), ("s8", "csv"), ("s8", "json"), ("s8", "dicom-sr"), ("s8", "pdf"), ("s8", "docx"),
    ("s8", "html"), ("s8", "fhir"),
]  # fmt: skip


@pytest.fixture
def made(workspace) -> None:
    """An image s7 and a comparison s8 that steps made; like all of the phantom's results they are marked as mocks."""
    (workspace.step_folder("s7") / "made.nii.gz").write_bytes(workspace.attachment_path("img1").read_bytes())
    facts = AttachmentFacts(id="s7", modality="CT", body_part="CHEST", dims=3)
    data = Made(summary="Made.", source="img1", file="made.nii.gz", facts=facts).model_dump(mode="json")
    source = Provenance(tool="synthesize", tool_version="1", params={}, inputs=("img1",))
    workspace.add_artifact(
        Artifact(id="s7", kind="image", summary="Made.", data=data, marks=("mock",), provenance=source)
    )
    row = ChangeRow(
        target="liver", quantity="volume", status="changed", current=1500.0, prior=1400.0, unit="ml", difference=100.0,
        percent=7.1, uncertainty=20.0, limit=20.0, rule="r", current_source="img1", prior_source="s7",
    )  # fmt: skip
    change = Change(summary="Grew.", current="img1", prior="s7", rows=(row,)).model_dump(mode="json")
    workspace.add_artifact(
        Artifact(id="s8", kind="change", summary="Grew.", data=change, marks=("mock",), provenance=source)
    )


def words_of(path: Path) -> str:
    """Everything that a file says, lower case, as its readers find it."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return str(nibabel.load(path).header["descrip"].item().decode()).lower()
    if path.suffix == ".pdf":
        from pypdf import PdfReader

        return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages).lower()
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as parts:
            return " ".join(parts.read(n).decode() for n in parts.namelist() if n.endswith(".xml")).lower()
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return str(picture.text["Comment"]).lower()
    if path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        return f"{dataset.SeriesDescription} {dataset.get('ContentDescription', '')}".lower()
    return data.decode("utf-8", "replace").lower()


@pytest.mark.parametrize(("artifact", "form"), FORMS)
def test_every_export_says_what_it_is(make_ctx, made, artifact: str, form: str) -> None:
    ctx = make_ctx()
    result = export(ctx, artifacts=[artifact], format=form)
    own = [f for f in result.files if f.startswith(artifact)]
    assert own
    for name in own:
        words = words_of(ctx.folder / name)
        assert "research use" in words, words[:200]
        assert "mock" in words, words[:200]


def test_a_note_in_a_mesh_leaves_it_a_mesh(make_ctx, workspace) -> None:
    import trimesh

    ctx = make_ctx()
    export(ctx, artifacts=["s1"], format="stl")
    export(ctx, artifacts=["s1"], format="obj")
    stl, obj = (trimesh.load(ctx.folder / f"s1-lungs.{form}") for form in ("stl", "obj"))
    assert stl.is_watertight
    assert obj.is_watertight
    assert stl.volume == pytest.approx(obj.volume, rel=1e-4)
    assert (ctx.folder / "s1-lungs.stl").read_bytes()[:5] != b"solid"  # readers would take it for text


def test_a_note_in_a_nifti_does_not_hide_that_spacing_is_unknown(tmp_path: Path) -> None:
    from tools.imaging.nifti import read_nifti, write_nifti
    from tools.imaging.raster import PICTURE_AFFINE
    from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume

    film = Volume(np.zeros((4, 5, 1), np.uint8), PICTURE_AFFINE, header=ORIENTATION_UNKNOWN)
    write_nifti(tmp_path / "film.nii.gz", film.array, film, said="SYNTHETIC; research use only" * 3)
    again = read_nifti(tmp_path / "film.nii.gz")
    assert again.spacing_source is None
    assert not again.orientation_known
    assert b"SYNTHETIC" in gzip.decompress((tmp_path / "film.nii.gz").read_bytes())[:352]


def test_a_colour_picture_is_no_nifti(make_ctx, workspace, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(rows).save(tmp_path / "colour.png")
    workspace.add_attachment(tmp_path / "colour.png", AttachmentFacts(id="img9", modality="US", dims=2))
    with pytest.raises(UnsupportedError, match="img9 is a colour image, which is not written as nifti: choose png"):
        export(make_ctx(), artifacts=["img9"], format="nifti")
