"""DICOM exports refer to the right images and land on the same world points; read back by plain pydicom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.phantoms import (
    CANARY_ID,
    base_dataset,
    oblique_affine,
    phantom_volume,
    save,
    set_pixels,
    write_dicom_series,
    write_enhanced,
)
from tools.contract import ToolContext
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.results import Claim, Draft, MaskEntry, Masks, Measurement, Measurements
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance, Workspace

SHAPE = (7, 6, 5)


def blobs(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Two masks without any symmetry."""
    left, right = np.zeros(shape, bool), np.zeros(shape, bool)
    left[1:3, 2:5, 1], left[1, 2, 2] = True, True
    right[4:6, 0:2, 2:4], right[5, 5, 4] = True, True
    return {"lung_left": left, "lung_right": right}


def keep(workspace: Workspace, step: str, result: object, inputs: tuple[str, ...] = ()) -> None:
    workspace.add_artifact(
        Artifact(
            id=step,
            kind=result.kind,
            summary=result.summary,
            data=result.model_dump(mode="json"),
            files=result.files,
            provenance=Provenance(tool="phantom", tool_version="1", params={}, inputs=inputs),
        )
    )


@pytest.fixture
def reading(tmp_path: Path) -> Callable[[Path, str], Workspace]:
    """Make a reading of one image with the masks s1 and their measurements s2."""

    def make(path: Path, modality: str = "CT") -> Workspace:
        workspace = Workspace(tmp_path / "reading")
        dims = read_image(path).dims
        workspace.add_attachment(path, AttachmentFacts(id="img1", modality=modality, body_part="CHEST", dims=dims))
        volume = workspace.volume("img1")
        entries = []
        for target, inside in (
            blobs(volume.shape).items() if dims == 3 else {"heart": np.ones(volume.shape, bool)}.items()
        ):
            write_nifti(workspace.step_folder("s1") / f"{target}.nii.gz", inside, volume)
            entries.append(MaskEntry(target=target, file=f"{target}.nii.gz", voxels=int(inside.sum())))
        keep(workspace, "s1", Masks(summary="Masks.", image="img1", masks=tuple(entries)), ("img1",))
        rows = tuple(
            Measurement(
                target=entry.target,
                quantity=quantity,
                value=value,
                unit=unit,
                image="img1",
                mask="s1",
                spacing_source="PixelSpacing",
                method="phantom",
            )
            for entry in entries
            for quantity, value, unit in (("volume", 12.5, "ml"), ("mean_intensity", -812.25, "HU"))
        )
        keep(workspace, "s2", Measurements(summary="Measured.", rows=rows), ("s1",))
        return workspace

    return make


def context(workspace: Workspace, step: str = "s9") -> ToolContext:
    return ToolContext(workspace, step, hub=None, open_knowledge=None, open_llm=None)


def world_points(dataset: pydicom.Dataset, segment: int) -> set[tuple[float, ...]]:
    """RAS+ mm of every voxel of a segment, computed from the file's own functional groups."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    found = set()
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber != segment:
            continue
        measures = (groups.get("PixelMeasuresSequence") or shared.PixelMeasuresSequence)[0]
        orientation = (groups.get("PlaneOrientationSequence") or shared.PlaneOrientationSequence)[0]
        cosines = np.array(orientation.ImageOrientationPatient, float)
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        between_rows, between_columns = map(float, measures.PixelSpacing)
        for row, column in np.argwhere(frame):
            lps = position + cosines[:3] * between_columns * column + cosines[3:] * between_rows * row
            found.add(tuple(np.round([-lps[0], -lps[1], lps[2]], 2) + 0.0))
    return found


def expected_points(inside: np.ndarray, affine_ras: np.ndarray) -> set[tuple[float, ...]]:
    world = np.argwhere(inside) @ affine_ras[:3, :3].T + affine_ras[:3, 3]
    return {tuple(point) for point in np.round(world, 2) + 0.0}


ORIENTATIONS = {
    "oblique": oblique_affine(),
    "coronal": np.array([[-0.8, 0, 0, 30], [0, 0, 2.0, -20], [0, -0.9, 0, 100], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[0, 0, 1.5, -12], [-0.7, 0, 0, 40], [0, -0.7, 0, 5], [0, 0, 0, 1.0]]),
    "feet first": np.array([[-0.7, 0, 0, 9], [0, 0.7, 0, 3], [0, 0, -2.5, 70], [0, 0, 0, 1.0]]),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_segmentation_lies_on_the_same_world_points(reading, tmp_path: Path, name: str) -> None:
    volume = phantom_volume(SHAPE, ORIENTATIONS[name])
    write_dicom_series(tmp_path / "series", volume)
    workspace = reading(tmp_path / "series")
    ctx = context(workspace)

    result = export(ctx, artifacts=["s1"], format="dicom-seg")

    dataset = pydicom.dcmread(ctx.folder / result.files[0])
    assert result.files == ("s1-seg.dcm",)
    assert [s.SegmentLabel for s in dataset.SegmentSequence] == ["lung_left", "lung_right"]
    own = workspace.volume("img1")
    for number, inside in enumerate(blobs(own.shape).values(), 1):
        assert world_points(dataset, number) == expected_points(inside, own.affine_ras)
    assert dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"
    modifier = dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert modifier[0].CodeMeaning == "Left"


def test_a_segmentation_belongs_to_the_patient_and_cites_every_slice_it_covers(reading, tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path / "series", phantom_volume(SHAPE))
    ctx = context(reading(tmp_path / "series"))
    export(ctx, artifacts=["s1"], format="dicom-seg")

    dataset = pydicom.dcmread(ctx.folder / "s1-seg.dcm")
    slices = {str(pydicom.dcmread(p).SOPInstanceUID) for p in paths}
    cited = {
        str(item.ReferencedSOPInstanceUID)
        for frame in dataset.PerFrameFunctionalGroupsSequence
        for derivation in frame.DerivationImageSequence
        for item in derivation.SourceImageSequence
    }
    assert cited <= slices
    assert len(cited) == 4  # slices 1 to 4 hold voxels, slice 0 none
    assert dataset.PatientID == CANARY_ID
    assert dataset.StudyInstanceUID == "1.2.3.4"
    assert "research use" in dataset.SeriesDescription


def test_an_enhanced_image_is_cited_by_its_own_frames(reading, tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "enhanced.dcm", phantom_volume(SHAPE))
    workspace = reading(path)
    ctx = context(workspace)
    export(ctx, artifacts=["s1"], format="dicom-seg")

    dataset, source = pydicom.dcmread(ctx.folder / "s1-seg.dcm"), pydicom.dcmread(path)
    own = workspace.volume("img1")
    for number, inside in enumerate(blobs(own.shape).values(), 1):
        assert world_points(dataset, number) == expected_points(inside, own.affine_ras)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (item,) = frame.DerivationImageSequence[0].SourceImageSequence
        there = source.PerFrameFunctionalGroupsSequence[int(item.ReferencedFrameNumber) - 1]
        here = frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(there.PlanePositionSequence[0].ImagePositionPatient, here, atol=1e-4)


def test_a_nifti_becomes_a_series_of_the_same_voxels(reading, tmp_path: Path) -> None:
    volume = phantom_volume(SHAPE)
    write_nifti(tmp_path / "ct.nii.gz", volume.array, volume)
    workspace = reading(tmp_path / "ct.nii.gz")
    ctx = context(workspace)

    result = export(ctx, artifacts=["s1"], format="dicom-seg")

    assert result.files == ("img1-dicom", "s1-seg.dcm")
    assert "came without DICOM" in result.notes[0]
    again, before = read_image(ctx.folder / "img1-dicom"), workspace.volume("img1")
    # the reader sorts slices along their normal, which may run against the NIfTI's third axis
    flipped = not np.allclose(again.affine_ras, before.affine_ras, atol=1e-4)
    assert np.array_equal(again.array[:, :, ::-1] if flipped else again.array, before.array)
    corner = again.affine_ras @ [0, 0, SHAPE[2] - 1 if flipped else 0, 1]
    assert np.allclose(corner, before.affine_ras @ [0, 0, 0, 1], atol=1e-4)
    dataset = pydicom.dcmread(ctx.folder / "s1-seg.dcm")
    for number, inside in enumerate(blobs(before.shape).values(), 1):
        assert world_points(dataset, number) == expected_points(inside, before.affine_ras)
    assert dataset.PatientID == ""


def test_values_that_int16_cannot_hold_are_scaled_and_said(tmp_path: Path) -> None:
    from tools.imaging.dicom_write import write_series

    array = np.linspace(-3.25, 90000.5, 210).reshape(SHAPE).astype(np.float32)
    volume = Volume(array, oblique_affine(), spacing_source="NIfTI header", modality="MR")
    folder = tmp_path / "series"
    folder.mkdir()
    _, exact = write_series(volume, folder, description="x")
    assert not exact
    assert np.allclose(read_image(folder).array, array, atol=1.0)  # 90,000 in 65,000 steps


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modality": ""}, "only CT and MR volumes .* this image is unknown"),
        ({"spacing_source": None}, "no physical spacing"),
        ({"affine_ras": np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])}, "not at right angles"),
        ({"array": np.full(SHAPE, np.nan, np.float32)}, "not numbers"),
    ],
)
def test_what_cannot_be_a_series_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    from tools.imaging.dicom_write import write_series

    with pytest.raises(UnsupportedError, match=said):
        write_series(replace(phantom_volume(SHAPE), **change), tmp_path, description="x")


def test_measurements_become_a_report_on_their_segments(reading, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "series", phantom_volume(SHAPE))
    ctx = context(reading(tmp_path / "series"))

    result = export(ctx, artifacts=["s2"], format="dicom-sr")

    assert result.files == ("s1-seg.dcm", "s2-sr.dcm")
    report, seg = pydicom.dcmread(ctx.folder / "s2-sr.dcm"), pydicom.dcmread(ctx.folder / "s1-seg.dcm")
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    numbers = [item for item in walk(report) if item.get("ValueType") == "NUM"]
    said = [
        (
            item.ConceptNameCodeSequence[0].CodeMeaning,
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in numbers
    ]
    assert said == [("Volume", 12.5, "mL"), ("Mean", -812.25, "[hnsf'U]")] * 2
    referenced = [
        (str(r.ReferencedSOPInstanceUID), int(r.ReferencedSegmentNumber))
        for item in walk(report)
        for r in item.get("ReferencedSOPSequence", [])
        if "ReferencedSegmentNumber" in r
    ]
    assert referenced == [(str(seg.SOPInstanceUID), 1), (str(seg.SOPInstanceUID), 2)]
    assert report.VerificationFlag == "UNVERIFIED"


def walk(item: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [item] + [found for child in item.get("ContentSequence", []) for found in walk(child)]


def test_a_film_is_segmented_and_reported_on_the_image(reading, tmp_path: Path) -> None:
    dataset = base_dataset("DX", ViewPosition="PA", PixelSpacing=[0.2, 0.2])
    del dataset.FrameOfReferenceUID
    set_pixels(dataset, np.arange(30, dtype=np.int16).reshape(5, 6))
    workspace = reading(save(dataset, tmp_path / "film.dcm"), "DX")
    ctx = context(workspace)

    result = export(ctx, artifacts=["s2"], format="dicom-sr")

    assert result.files == ("s2-sr.dcm",)
    report = pydicom.dcmread(ctx.folder / "s2-sr.dcm")
    images = [i for i in walk(report) if i.get("ValueType") == "IMAGE"]
    assert {str(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for i in images} == {str(dataset.SOPInstanceUID)}


def test_a_draft_becomes_a_text_report_that_our_own_reader_reads(reading, tmp_path: Path) -> None:
    from knowledge.readers.dicom_sr import read_dicom_sr

    write_dicom_series(tmp_path / "series", phantom_volume(SHAPE))
    workspace = reading(tmp_path / "series")
    draft = Draft(
        summary="A draft.",
        findings=(Claim(text="Volume of the left lung: 12.5 ml.", evidence=("s2",), kind="measured"),),
        impression=(Claim(text="Nothing else was measured.", evidence=("s2",), kind="not examined"),),
    )
    keep(workspace, "s3", draft, ("s2",))
    keep(workspace, "s4", draft.model_copy(update={"findings": (), "impression": ()}), ("s2",))
    ctx = context(workspace)

    # s2 was measured on s1, which was outlined in img1: the draft itself cites only s2
    with pytest.raises(UnsupportedError, match="cites no image"):
        export(ctx, artifacts=["s4"], format="dicom-sr")
    export(ctx, artifacts=["s3"], format="dicom-sr")

    (found,) = read_dicom_sr(ctx.folder / "s3-sr.dcm", "x")
    assert "Volume of the left lung: 12.5 ml. [s2]" in found.report.text
    assert [s.name for s in found.report.sections][-2:] == ["findings", "impression"]


def test_an_empty_mask_is_no_segmentation(reading, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "series", phantom_volume(SHAPE))
    workspace = reading(tmp_path / "series")
    volume = workspace.volume("img1")
    write_nifti(workspace.step_folder("s5") / "liver.nii.gz", np.zeros(volume.shape, bool), volume)
    entry = MaskEntry(target="liver", file="liver.nii.gz", voxels=0)
    keep(workspace, "s5", Masks(summary="None.", image="img1", masks=(entry,)), ("img1",))
    with pytest.raises(UnsupportedError, match="holds no voxel, and DICOM has no empty segmentation"):
        export(context(workspace), artifacts=["s5"], format="dicom-seg")
    with pytest.raises(UnsupportedError, match="there is no surface to write"):
        export(context(workspace), artifacts=["s5"], format="stl")
