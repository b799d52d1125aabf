"""Text burned into pixels is found and blacked out; a face is cut away and the brain stays whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.phantoms import base_dataset, phantom_volume, save, set_pixels, write_dicom_series
from tools.contract import ToolContext
from tools.deidentification.burned_in import find_text
from tools.deidentification.face import brain_in_ct, cut_face, plausible_brain
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume
from tools.verbs.deidentify import REPORT, deidentify
from tools.workspace import Workspace


def context(folder: Path, path: Path, hub: object = None, **facts: object) -> ToolContext:
    workspace = Workspace(folder / "reading")
    workspace.add_attachment(path, AttachmentFacts(id="img1", **facts))
    return ToolContext(workspace, "s1", hub, None, None)


def clean_pixels(ctx: ToolContext) -> np.ndarray:
    return pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0]).pixel_array


def typed(text: str, shape: tuple[int, int] = (240, 360), size: int = 22) -> np.ndarray:
    """Text in white on a gray noise, uint8 (row, column)."""
    noise = np.random.default_rng(5).integers(20, 60, shape, dtype=np.uint8)
    picture = Image.fromarray(noise)
    ImageDraw.Draw(picture).text((30, 40), text, fill=255, font=ImageFont.load_default(size))
    return np.asarray(picture)


@pytest.mark.samples
def test_the_ultrasound_loses_its_burned_in_text(sample, tmp_path: Path) -> None:
    path = sample("dicom-samples", "US1.dcm")
    before = pydicom.dcmread(path).pixel_array
    assert any(box.top < 45 and box.left < 40 for box in find_text(before).boxes)  # the hospital's name
    ctx = context(tmp_path, path, modality="US", dims=2)

    result = deidentify(ctx, image="img1")

    after = clean_pixels(ctx)
    assert not find_text(after).boxes
    assert after[20:41, 16:172].max() == 0
    changed = (before != after).any(axis=2)
    assert 0.01 < changed.mean() < 0.12  # the text, not the image
    assert np.array_equal(before[250:330, 100:300], after[250:330, 100:300])
    told = json.loads((ctx.folder / REPORT).read_text())
    assert told["pixels"]["rectangles"] >= 15
    assert "BAPTIST" not in json.dumps(told) + result.model_dump_json()


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_film_keeps_its_side_marker_and_loses_the_name(tmp_path: Path, photometric: str) -> None:
    rows = np.maximum(typed("MILLER ANNA 1950"), np.roll(typed("", (240, 360)), 0))
    picture = Image.fromarray(rows)
    ImageDraw.Draw(picture).text((300, 170), "L", fill=255, font=ImageFont.load_default(44))
    shown = np.asarray(picture).astype(np.uint16) * 16
    stored = 4095 - shown if photometric == "MONOCHROME1" else shown
    dataset = base_dataset("DX", PixelSpacing=[0.2, 0.2])
    set_pixels(dataset, stored, bits_stored=12, photometric=photometric)
    ctx = context(tmp_path, save(dataset, tmp_path / "film.dcm"), modality="DX", dims=2)

    deidentify(ctx, image="img1")

    after = clean_pixels(ctx)
    after = 4095 - after if photometric == "MONOCHROME1" else after
    assert after[45:60, 40:200].max() == shown.min()  # black, as a film shows it
    assert np.array_equal(after[150:], shown[150:].astype(after.dtype))  # the marker, and all else
    assert json.loads((ctx.folder / REPORT).read_text())["pixels"]["markers_kept"] == 1


def test_text_on_slices_of_a_scan_is_found_by_a_sample(tmp_path: Path) -> None:
    text = typed("MILLER ANNA 1950", (120, 240), 18)
    array = np.zeros((240, 120, 2), np.int16)
    array[:] = np.where(text == 255, 2000, 30).T[:, :, None]
    affine = np.diag([-0.7, -0.7, 2.0, 1.0])
    write_dicom_series(tmp_path / "ct", Volume(array, affine, spacing_source="PixelSpacing", modality="CT"))
    ctx = context(tmp_path, tmp_path / "ct", modality="CT", body_part="CHEST", dims=3)
    result = deidentify(ctx, image="img1")
    after = ctx.workspace.volume("img1").array, clean_pixels(ctx)
    assert after[0].max() == 2000
    assert not find_text(after[1]).boxes
    assert any("2 of 2 frames looked at" in note for note in result.notes)


def test_organs_that_look_like_letters_stay(tmp_path: Path) -> None:
    from tools.testing import chest_phantom

    array = chest_phantom()[0][::-1, ::-1, 28:31]  # two lungs: an 8, a 0 0, a B
    affine = np.diag([-3.0, -3.0, 5.0, 1.0])
    write_dicom_series(tmp_path / "ct", Volume(array, affine, spacing_source="PixelSpacing", modality="CT"))
    ctx = context(tmp_path, tmp_path / "ct", modality="CT", body_part="CHEST", dims=3)
    deidentify(ctx, image="img1")
    assert json.loads((ctx.folder / REPORT).read_text())["pixels"]["rectangles"] == 0
    assert np.array_equal(clean_pixels(ctx), pydicom.dcmread(_first(tmp_path / "ct")).pixel_array)


def _first(folder: Path) -> Path:
    """The file of the lowest slice: the writer's names run against the order."""
    return sorted(folder.iterdir())[-1]


def head(voxel_mm: float = 4.0) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A head in CT, feet-first axes turned: (image, brain, face); soft tissue, skull, brain, and a face before it."""
    i, j, k = np.meshgrid(*(np.arange(n) for n in (48, 60, 56)), indexing="ij")
    affine = np.array([[-voxel_mm, 0, 0, 96.0], [0, -voxel_mm, 0, 130], [0, 0, voxel_mm, -130], [0, 0, 0, 1.0]])
    x, y, z = (affine[:3, :3] @ np.stack([a.ravel() for a in (i, j, k)])).reshape(3, *i.shape) + affine[:3, 3].reshape(
        3, 1, 1, 1
    )

    def ball(a: float, b: float, c: float, y0: float = 0.0, z0: float = 0.0) -> np.ndarray:
        return (x / a) ** 2 + ((y - y0) / b) ** 2 + ((z - z0) / c) ** 2 < 1

    brain, skull, scalp = ball(62, 78, 56, z0=25), ball(70, 86, 64, z0=25), ball(78, 94, 72, z0=25)
    face = ball(45, 40, 60, y0=65, z0=-55) & ~scalp
    array = np.full(i.shape, -1000, np.int16)
    array[scalp | face | ball(45, 40, 60, y0=-10, z0=-70)] = 50
    array[skull] = 1100
    array[brain] = 35
    volume = Volume(array, affine, spacing_source="PixelSpacing", modality="CT", body_part="HEAD", units="HU")
    return volume, brain, face


def test_a_cut_takes_the_face_and_no_brain() -> None:
    volume, brain, face = head()
    removed = cut_face(brain, volume.affine_ras).removed
    assert not (removed & brain).any()
    assert (removed & face).sum() / face.sum() > 0.9
    back = np.moveaxis(np.indices(volume.shape), 0, -1) @ volume.affine_ras[1, :3] + volume.affine_ras[1, 3] < -60
    assert not (removed & back & (volume.array > -500) & (np.indices(volume.shape)[2] > 30)).any()


def test_a_cut_does_not_depend_on_how_the_axes_lie() -> None:
    volume, brain, _ = head()
    removed = cut_face(brain, volume.affine_ras).removed
    other = np.flip(np.moveaxis(brain, (1, 2, 0), (0, 1, 2)), 0)
    again = cut_face(other, _affine_of(volume, other)).removed
    assert np.array_equal(np.moveaxis(np.flip(again, 0), (0, 1, 2), (1, 2, 0)), removed)


def _affine_of(volume: Volume, other: np.ndarray) -> np.ndarray:
    """The affine of the axes (j reversed, k, i)."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (
        -volume.affine_ras[:3, 1],
        volume.affine_ras[:3, 2],
        volume.affine_ras[:3, 0],
    )
    affine[:3, 3] = volume.affine_ras[:3, 3] + volume.affine_ras[:3, 1] * (other.shape[0] - 1)
    return affine


def test_the_brain_of_a_head_ct_is_found_where_bone_encloses_it() -> None:
    volume, brain, _ = head()
    found = brain_in_ct(volume)
    assert plausible_brain(found, volume)
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.9


def test_a_head_ct_loses_its_face(tmp_path: Path) -> None:
    volume, brain, face = head()
    write_dicom_series(tmp_path / "head", volume)
    ctx = context(tmp_path, tmp_path / "head", modality="CT", body_part="HEAD", dims=3)
    result = deidentify(ctx, image="img1", text_in_pixels="ignore")

    from tools.imaging.read import read_image

    after = read_image(ctx.folder / "clean-dicom").array
    assert np.array_equal(after[brain], volume.array[brain])
    assert (after[face] == -1000).mean() > 0.9
    assert "the face cut away" in result.summary
    assert any("Ears, the back of the head" in note for note in result.notes)
    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert clean.RecognizableVisualFeatures == "NO"


def test_a_head_without_a_brain_is_not_passed_off_as_clean(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "head", phantom_volume())
    ctx = context(tmp_path, tmp_path / "head", modality="CT", body_part="HEAD", dims=3)
    with pytest.raises(UnsupportedError, match="the face of img1 cannot be removed: nothing as large as a brain"):
        deidentify(ctx, image="img1")
    kept = deidentify(ctx, image="img1", face="keep", text_in_pixels="ignore")
    clean = pydicom.dcmread(sorted((ctx.folder / "clean-dicom").iterdir())[0])
    assert "RecognizableVisualFeatures" not in clean
    assert "face" not in kept.summary


def test_a_head_that_has_no_face_is_said_to_have_none(tmp_path: Path) -> None:
    volume, _, face = head()
    array = volume.array.copy()
    array[face] = array.min()
    cut = cut_face(brain_in_ct(volume), volume.affine_ras).removed
    array[cut] = array.min()
    write_dicom_series(tmp_path / "head", replace(volume, array=array))
    ctx = context(tmp_path, tmp_path / "head", modality="CT", body_part="HEAD", dims=3)
    result = deidentify(ctx, image="img1", text_in_pixels="ignore")
    assert "face cut away" not in result.summary
    assert any("so nothing was removed" in note for note in result.notes)
    assert json.loads((ctx.folder / "removed.json").read_text())["face"] == "nothing to remove"


@pytest.mark.samples
def test_the_sample_brain_has_no_face_and_stays_whole(sample, assets, tmp_path: Path) -> None:
    from tools.imaging.read import read_image
    from tools.models.hub import Hub

    path = sample("brain-t1", "t1.nii.gz")
    ctx = context(tmp_path, path, Hub.installed(assets=assets, device="cpu"), modality="MR", dims=3, has_spacing=True)
    result = deidentify(ctx, image="img1")
    assert np.array_equal(read_image(path).array, read_image(ctx.folder / "clean.nii.gz").array)
    assert any("so nothing was removed" in note for note in result.notes)
    assert "the face cut away" not in result.summary


def test_a_volume_in_which_no_face_was_looked_for_says_so_in_its_sentence(tmp_path: Path) -> None:
    ctx = context(tmp_path, _nifti(tmp_path), dims=3)
    assert deidentify(ctx, image="img1").summary.endswith("no face looked for.")


def test_a_made_image_keeps_its_mark(tmp_path: Path) -> None:
    from tools.results import Image as Made
    from tools.workspace import Artifact, Provenance

    ctx = context(tmp_path, _nifti(tmp_path), modality="CT", dims=3, body_part="CHEST")
    folder = ctx.workspace.step_folder("s1")
    volume = phantom_volume()
    write_nifti(folder / "made.nii.gz", volume.array, volume)
    made = Made(
        summary="x", source="img1", file="made.nii.gz", facts=AttachmentFacts(id="s1", modality="CT", dims=3),
        marks=("synthetic",),
    )  # fmt: skip
    source = Provenance(tool="synthesize", tool_version="1", params={}, inputs=("img1",))
    ctx.workspace.add_artifact(
        Artifact(
            id="s1",
            kind="image",
            summary="x",
            data=made.model_dump(mode="json"),
            marks=("synthetic",),
            provenance=source,
        )
    )
    again = ToolContext(ctx.workspace, "s2", None, None, None)
    assert deidentify(again, image="s1").marks == ("synthetic",)


def _nifti(folder: Path) -> Path:
    volume = phantom_volume()
    write_nifti(folder / "ct.nii.gz", volume.array, volume)
    return folder / "ct.nii.gz"
