"""What a generator made stays synthetic in every format: the image, its mask, its sizes, a draft about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.tools.verbs.test_export_marks import words_of
from tools.changes import Change, ChangeRow
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.projection.film import burned
from tools.results import Claim, Draft, MaskEntry, Masks, Measurement, Measurements, ToolResult
from tools.results import Image as Made
from tools.testing import chest_phantom
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance, Workspace

FORMS = [
    ("s11", "nifti"), ("s11", "png"), ("s11", "json"),
    ("s12", "nifti"), ("s12", "png"), ("s12", "json"), ("s12", "stl"), ("s12", "obj"), ("s12", "dicom-seg"),
    *[("s13", form) for form in ("csv", "json", "dicom-sr", "pdf", "docx", "html", "fhir")],
    *[("s14", form) for form in ("csv", "json", "dicom-sr", "pdf", "docx", "html", "fhir")],
    *[("s15", form) for form in ("json", "dicom-sr", "pdf", "docx", "html", "fhir")],
]  # fmt: skip


def keep(workspace: Workspace, step: str, result: ToolResult, tool: str, *inputs: str) -> None:
    data, by = result.model_dump(mode="json"), Provenance(tool=tool, tool_version="1", params={}, inputs=inputs)
    workspace.add_artifact(
        Artifact(
            id=step, kind=result.kind, summary=result.summary, data=data, files=result.files, marks=("synthetic",),
            provenance=by,
        )
    )  # fmt: skip


@pytest.fixture
def synthetic(workspace: Workspace) -> Workspace:
    """A CT that a generator made (s11), its lungs (s12), their volume (s13), its change (s14) and a draft (s15)."""
    source = workspace.volume("img1")
    write_nifti(workspace.step_folder("s11") / "made.nii.gz", burned(np.asarray(source.array)), source)
    facts = AttachmentFacts(id="s11", modality="CT", modality_source="synthetic", dims=3, has_spacing=True)
    keep(workspace, "s11", Made(summary="Made.", source="", file="made.nii.gz", facts=facts), "synthesize")
    lungs = chest_phantom()[1]
    write_nifti(workspace.step_folder("s12") / "lungs.nii.gz", lungs, source)
    entry = MaskEntry(target="lungs", file="lungs.nii.gz", voxels=int(lungs.sum()))
    keep(workspace, "s12", Masks(summary="Outlined.", image="s11", masks=(entry,)), "segment", "s11")
    row = Measurement(
        target="lungs", quantity="volume", value=1.5, unit="ml", image="s11", mask="s12", spacing_source="NIfTI header",
        method="count",
    )  # fmt: skip
    keep(workspace, "s13", Measurements(summary="Measured.", rows=(row,)), "measure", "s12")
    change = ChangeRow(
        target="lungs", quantity="volume", status="changed", current=1500.0, prior=1400.0, unit="ml", difference=100.0,
        percent=7.1, uncertainty=20.0, limit=20.0, rule="r", current_source="s11", prior_source="img1",
    )  # fmt: skip
    compared = Change(summary="Grew.", current="s11", prior="img1", rows=(change,))
    keep(workspace, "s14", compared, "compare", "s11", "img1")
    said = Claim(text="The lungs hold 1.5 ml.", kind="measured", evidence=("s13",))
    keep(workspace, "s15", Draft(summary="Drafted.", findings=(said,)), "draft_report", "s13")
    return workspace


@pytest.mark.parametrize(("artifact", "form"), FORMS)
def test_every_format_says_synthetic(make_ctx, synthetic: Workspace, artifact: str, form: str) -> None:
    ctx = make_ctx()
    result = export(ctx, artifacts=[artifact], format=form)
    own = [name for name in result.files if not (ctx.folder / name).is_dir()]
    assert own
    for name in own:
        assert "synthetic" in words_of(ctx.folder / name), name
    for path in ctx.folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if path.parent != ctx.folder:  # the image itself, which had to be written as a series
            assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
            assert dataset.DerivationDescription.startswith("SYNTHETIC")
        assert "SYNTHETIC" in dataset.SeriesDescription


def test_the_picture_shows_the_mark(make_ctx, synthetic: Workspace) -> None:
    """The letters that are burned into the voxels reach the picture's pixels."""
    ctx = make_ctx()
    export(ctx, artifacts=["s11"], format="png")
    with Image.open(ctx.folder / "s11.png") as picture:
        marked = np.asarray(picture.convert("L")).astype(int)
    export(ctx, artifacts=["img1"], format="png")
    with Image.open(ctx.folder / "img1.png") as picture:
        plain = np.asarray(picture.convert("L")).astype(int)
    assert marked.shape == plain.shape
    assert (np.abs(marked - plain) > 60).sum() > 100


def test_a_copy_that_comes_back_is_still_synthetic(make_ctx, synthetic: Workspace, tmp_path: Path) -> None:
    """Exported, attached again and exported once more: the file says what it is, so its copies do."""
    ctx = make_ctx()
    export(ctx, artifacts=["s11"], format="nifti")
    export(ctx, artifacts=["s12"], format="dicom-seg")
    for number, path in ((8, ctx.folder / "s11.nii.gz"), (9, ctx.folder / "s11-dicom")):
        facts = AttachmentFacts(id=f"img{number}", modality="CT", dims=3, has_spacing=True)
        synthetic.add_attachment(path, facts)
        again = make_ctx(f"s{20 + number}")
        (name,) = export(again, artifacts=[f"img{number}"], format="nifti").files
        assert "synthetic" in words_of(again.folder / name)
        assert "SyntheticNote" in synthetic.volume(f"img{number}").header
        assert synthetic.marks_of(f"img{number}") == ("synthetic",)
    assert synthetic.marks_of("img1") == ()
