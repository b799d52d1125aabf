"""Canaries in every text element of every kind, at every depth, and outside the data set: none comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from tests.phantoms import base_dataset, phantom_volume, save, set_pixels, write_dicom_series, write_enhanced
from tools.contract import ToolContext
from tools.facts import AttachmentFacts
from tools.imaging.read import read_image
from tools.verbs.deidentify import REPORT, deidentify
from tools.workspace import Workspace

TEXT_VRS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "DS", "IS", "DA", "DT", "TM", "AS"}
GEOMETRY = (
    "Rows", "Columns", "SpecificCharacterSet", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "PhotometricInterpretation", "Modality", "RescaleSlope", "RescaleIntercept", "NumberOfFrames", "InstanceNumber",
    "SliceThickness", "SeriesNumber", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PatientName", "PatientID",
    "ImageType", "BurnedInAnnotation", "CodeMeaning",
)  # fmt: skip
"""Without these the file is no image, or they are planted by hand."""


def fill(dataset: Dataset) -> int:
    """Put a canary into every element of the dictionary that text can be written into; return how many."""
    count = 0
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        if not keyword or keyword in GEOMETRY or group in (0, 2, 4, 0xFFFE) or 0x5000 <= group <= 0x7FDF:
            continue
        if vr in TEXT_VRS and not retired.startswith("x"):
            dataset[tag] = RawDataElement(BaseTag(tag), vr, 6, b"CANARY", 0, False, True)
            count += 1
        elif vr == "OB" and keyword not in ("PixelData",):
            dataset.add_new(tag, vr, b"CANARY")
            count += 1
    dataset.StudyInstanceUID = "1.2.777.1"
    dataset.add_new(0x00091001, "LO", "CANARY")
    dataset.add_new(0x00090010, "LO", "CANARY MAKER")
    dataset.add_new(0x60003000, "OW", b"CANARY")
    dataset.add_new(0x60000022, "LO", "CANARY")
    dataset.add_new(0x00131010, "UN", b"CANARY")
    return count


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom import config

    monkeypatch.setattr(config.settings, "_writing_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def planted(dataset: Dataset) -> int:
    """Fill a data set, and items of sequences three levels deep: in known and unknown ones."""
    deepest, middle, item, code = Dataset(), Dataset(), Dataset(), Dataset()
    count = fill(deepest) + fill(middle) + fill(item)
    middle.ReferencedSeriesSequence = Sequence([deepest])
    item.SourceImageSequence = Sequence([middle])
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CANARY", "99CANARY", "CANARY"
    known = Dataset()
    known.CodeValue, known.CodingSchemeDesignator, known.CodeMeaning = "T-D4000", "SRT", "CANARY"
    count += fill(dataset)
    dataset.ReferencedImageSequence = Sequence([item])
    dataset.AnatomicRegionSequence = Sequence([code, known])
    return count


@pytest.fixture
def make_ctx(tmp_path: Path) -> Callable[..., ToolContext]:
    def make(path: Path, key: bytes = b"", name: str = "reading", **facts: object) -> ToolContext:
        workspace = Workspace(tmp_path / name)
        found = {"modality": "CT", "body_part": "CHEST", "dims": read_image(path).dims, **facts}
        workspace.add_attachment(path, AttachmentFacts(id="img1", **found))
        return ToolContext(workspace, "s1", None, None, None, site_key=key)

    return make


def written(folder: Path) -> bytes:
    """Every name and every byte of a step's folder."""
    return b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_no_canary_comes_through(canaries, make_ctx, tmp_path: Path) -> None:
    dataset = base_dataset("CT", PatientName="CANARY^NAME", PatientID="CANARY-1")
    counted = planted(dataset)
    assert counted > 4000
    dataset.file_meta.ImplementationVersionName = "CANARY"
    dataset.file_meta.SourceApplicationEntityTitle = "CANARY"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.777.9"
    dataset.file_meta.PrivateInformation = b"CANARY"
    dataset.preamble = b"CANARY" * 20 + b"\0" * 8
    set_pixels(dataset, np.zeros((12, 14), np.uint16))
    ctx = make_ctx(save(dataset, tmp_path / "CANARY.dcm"))

    result = deidentify(ctx, image="img1", text_in_pixels="ignore")

    found = written(ctx.folder)
    assert b"CANARY" not in found
    assert b"1.2.777." not in found
    assert b"CANARY" not in result.model_dump_json().encode()
    clean = pydicom.dcmread(next((ctx.folder / "clean-dicom").iterdir()))
    assert (clean.Rows, clean.Columns, clean.Modality) == (12, 14, "CT")
    rows = json.loads((ctx.folder / REPORT).read_text())["elements"]
    assert sum(row["count"] for row in rows) > counted * 0.9  # what a removed sequence held is not counted again
    assert {"tag": "(0010,0010)", "attribute": "PatientName", "action": "replaced", "count": 1} in rows


def test_what_is_known_and_harmless_stays(make_ctx, tmp_path: Path) -> None:
    def more(dataset: Dataset, k: int) -> None:
        dataset.KVP, dataset.ConvolutionKernel, dataset.PatientPosition = "120", "B30f", "HFS"
        dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Dr Miller's scanner"
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "39607008", "SCT", "the lungs of Mr Miller"
        dataset.AnatomicRegionSequence = Sequence([code])

    write_dicom_series(tmp_path / "series", phantom_volume(), edit=more)
    ctx = make_ctx(tmp_path / "series")
    result = deidentify(ctx, image="img1", text_in_pixels="ignore")

    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert (clean.KVP, clean.ConvolutionKernel, clean.PatientPosition, clean.Manufacturer) == (
        120, "B30f", "HFS", "SIEMENS",
    )  # fmt: skip
    assert "ManufacturerModelName" not in clean
    assert clean.AnatomicRegionSequence[0].CodeMeaning.startswith("Lung")  # the scheme's word, not the file's
    before, after = read_image(tmp_path / "series"), read_image(ctx.folder / "clean-dicom")
    assert np.array_equal(before.array, after.array)
    assert np.allclose(before.affine_ras, after.affine_ras)
    assert (result.facts.id, result.facts.modality, result.file) == ("s1", "CT", "clean-dicom")


def test_what_was_done_is_written_as_the_standard_wants(make_ctx, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "series", phantom_volume())
    ctx = make_ctx(tmp_path / "series")
    deidentify(ctx, image="img1")
    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert clean.PatientIdentityRemoved == "YES"
    assert clean.BurnedInAnnotation == "NO"
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"
    assert clean.DeidentificationMethod
    done = [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]
    assert done == ["113100", "113105", "113101", "113107"]


def test_uids_and_dates_agree_within_a_patient_and_a_site(make_ctx, tmp_path: Path) -> None:
    def on(day: str, series: str, patient: str = "P1") -> Path:
        def edit(dataset: Dataset, k: int) -> None:
            dataset.StudyDate, dataset.AcquisitionDateTime, dataset.SeriesInstanceUID = day, f"{day}101500.5", series
            dataset.StudyTime, dataset.PatientID = "101500", patient

        write_dicom_series(tmp_path / f"{day}{patient}", phantom_volume(), edit=edit)
        return tmp_path / f"{day}{patient}"

    def clean(path: Path, key: bytes, name: str) -> Dataset:
        ctx = make_ctx(path, key, name)
        deidentify(ctx, image="img1", text_in_pixels="ignore")
        files = sorted((ctx.folder / "clean-dicom").iterdir())
        assert len({pydicom.dcmread(f).SeriesInstanceUID for f in files}) == 1
        assert len({pydicom.dcmread(f).SOPInstanceUID for f in files}) == len(files)
        return pydicom.dcmread(files[0])

    key = b"a site's own key, long enough"
    first, later = clean(on("20240301", "1.2.9"), key, "a"), clean(on("20240311", "1.2.8"), key, "b")
    other = clean(on("20240301", "1.2.7", "P2"), key, "c")
    elsewhere = clean(on("20240301", "1.2.9"), b"another site's key, as long", "d")

    days = [pydicom.valuerep.DA(d.StudyDate) for d in (first, later, other, elsewhere)]
    assert (days[1] - days[0]).days == 10
    assert days[0] != pydicom.valuerep.DA("20240301")
    assert days[2] != days[0]
    assert first.AcquisitionDateTime[:8] == first.StudyDate
    assert first.StudyTime == "101500"
    assert first.StudyInstanceUID == later.StudyInstanceUID  # the phantom's is the same
    assert first.StudyInstanceUID != elsewhere.StudyInstanceUID
    assert first.PatientID == later.PatientID != other.PatientID
    assert first.PatientBirthDate == ""


def test_dates_can_be_removed(make_ctx, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "series", phantom_volume())
    ctx = make_ctx(tmp_path / "series")
    deidentify(ctx, image="img1", dates="remove", text_in_pixels="ignore")
    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert clean.StudyDate == ""
    assert clean.LongitudinalTemporalInformationModified == "REMOVED"
    assert not any(str(e.value) for e in clean.iterall() if e.VR in ("DA", "DT", "TM"))


def test_an_enhanced_image_keeps_voxels_and_place(make_ctx, tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "enhanced.dcm", phantom_volume())
    ctx = make_ctx(path)
    deidentify(ctx, image="img1", text_in_pixels="ignore")
    before, after = read_image(path), read_image(ctx.folder / "clean-dicom")
    assert np.array_equal(before.array, after.array)
    assert np.allclose(before.affine_ras, after.affine_ras)


def test_the_copy_is_what_exports_stand_on(make_ctx, tmp_path: Path) -> None:
    from tests.phantoms import CANARY_ID, CANARY_NAME
    from tools.imaging.nifti import write_nifti
    from tools.results import MaskEntry, Masks
    from tools.verbs.export import export
    from tools.workspace import Artifact, Provenance

    write_dicom_series(tmp_path / "series", phantom_volume())
    ctx = make_ctx(tmp_path / "series")
    made = deidentify(ctx, image="img1", text_in_pixels="ignore")
    workspace = ctx.workspace
    source = Provenance(tool="deidentify", tool_version="1", params={}, inputs=("img1",))

    def keep(step: str, result: object) -> None:
        data = result.model_dump(mode="json")
        workspace.add_artifact(
            Artifact(id=step, kind=result.kind, summary="x", data=data, files=result.files, provenance=source)
        )

    keep("s1", made)
    volume = workspace.volume("s1")
    assert volume.units == "HU"
    inside = np.zeros(volume.shape, bool)
    inside[1:3, 2:4, 1:3] = True
    write_nifti(workspace.step_folder("s2") / "liver.nii.gz", inside, volume)
    keep("s2", Masks(summary="x", image="s1", masks=(MaskEntry(target="liver", file="liver.nii.gz", voxels=8),)))
    out = ToolContext(workspace, "s3", None, None, None)
    export(out, artifacts=["s2"], format="dicom-seg")

    seg = pydicom.dcmread(out.folder / "s2-seg.dcm")
    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert (seg.PatientID, seg.StudyInstanceUID) == (clean.PatientID, clean.StudyInstanceUID)
    assert CANARY_ID.encode() not in (out.folder / "s2-seg.dcm").read_bytes()
    assert CANARY_NAME.encode() not in (out.folder / "s2-seg.dcm").read_bytes()


def test_a_nifti_loses_its_words(make_ctx, tmp_path: Path) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2, 3, 4, 1]))
    image.header["descrip"], image.header["aux_file"], image.header["intent_name"] = b"CANARY", b"CANARY", b"CANARY"
    image.header["db_name"] = b"CANARY"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"CANARY of CANARY"))
    nib.save(image, tmp_path / "CANARY.nii.gz")
    ctx = make_ctx(tmp_path / "CANARY.nii.gz", modality="CT")
    deidentify(ctx, image="img1")

    import gzip

    assert b"CANARY" not in written(ctx.folder)
    assert b"CANARY" not in gzip.decompress((ctx.folder / "clean.nii.gz").read_bytes())
    again = nib.load(ctx.folder / "clean.nii.gz")
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(image.dataobj))
    assert np.allclose(again.affine, image.affine)
    rows = json.loads((ctx.folder / REPORT).read_text())["elements"]
    assert {row["attribute"] for row in rows} == {"descrip", "aux_file", "intent_name", "db_name", "extensions"}


def test_a_picture_loses_its_metadata(make_ctx, tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "CANARY")
    exif = Image.Exif()
    exif[0x010E] = "CANARY"
    rows = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
    Image.fromarray(rows).save(tmp_path / "film.png", pnginfo=info, exif=exif)
    ctx = make_ctx(tmp_path / "film.png", modality="CR")
    deidentify(ctx, image="img1")
    assert b"CANARY" not in written(ctx.folder)
    assert np.array_equal(read_image(ctx.folder / "clean.png").array, read_image(tmp_path / "film.png").array)


def test_the_key_of_a_reading_is_its_owners_alone(make_ctx, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "series", phantom_volume())
    ctx = make_ctx(tmp_path / "series")
    deidentify(ctx, image="img1", text_in_pixels="ignore")
    key = ctx.workspace.root / "deidentify.key"
    assert key.stat().st_mode & 0o077 == 0
    assert len(key.read_bytes()) == 32
