"""register on known transforms: phantoms, the sample brain and the sample CT; refusals; cancelling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.phantoms import oblique_affine, phantom_volume, write_dicom_series
from tests.tools.registration.conftest import MakeReading, head, moved_by, turned
from tools.contract import ToolContext
from tools.errors import BadInputError, CancelledError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation, world_to_voxel
from tools.imaging.read import read_image
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.preconditions import check_call
from tools.registration.align import align, moved, points_in, working_pair
from tools.registration.grid import affine_of, from_itk, to_itk, working_copy
from tools.registration.matching import require_same_patient
from tools.results import Image
from tools.verbs.register import register
from tools.workspace import Workspace


def target_error_voxels(volume: Volume, found: object, known: object) -> float:
    """Mean distance of where two transforms put the image's bright points, in its shortest voxel edges."""
    image = to_itk(volume)
    points = points_in(image, 500, 0, np.asarray(volume.array > np.percentile(volume.array, 60)))
    apart = np.linalg.norm(moved(found, points) - moved(known, points), axis=1)
    return float(apart.mean() / min(volume.spacing_mm))


def run(ctx: ToolContext, kind: str = "rigid") -> tuple[Image, object]:
    result = register(ctx, fixed="img1", moving="img2", kind=kind)
    assert isinstance(result, Image)
    assert result.transform is not None
    return result, sitk.ReadTransform(str(ctx.folder / result.transform.file))


@pytest.mark.parametrize("affine", [None, oblique_affine((4, 4, 4.5), origin=(60, 70, -80))], ids=["LPS", "oblique"])
def test_a_known_turn_is_found_and_undone(reading: MakeReading, affine: np.ndarray | None) -> None:
    volume = head(affine)
    centre = affine_of(to_itk(volume))[:3, 3] * [-1, -1, 1]
    known = turned((6, -4, 9), (7, -5, 4), centre + 60)
    ctx = reading(volume, moved_by(volume, known))
    result, found = run(ctx)
    assert target_error_voxels(volume, found, known) < 0.3
    quality = result.transform
    assert quality is not None
    assert quality.correlation_before < 0.9 < 0.95 < quality.correlation_after
    assert quality.inverse_mean_mm is not None
    assert quality.inverse_mean_mm < 2
    assert (quality.jacobian_min, quality.folded_share) == (pytest.approx(1, abs=0.01), 0)
    again = read_image(ctx.folder / result.file)
    assert again.same_grid(volume, tolerance=0.01)
    assert again.array.dtype == np.int16
    assert result.facts.id == "s1"
    assert {"moved.nii.gz", "transform-rigid.tfm", "checkerboard.png"} == set(result.files)
    assert any("do not say whether both images are of the same patient" in note for note in result.notes)


def test_affine_finds_a_stretch(reading: MakeReading) -> None:
    volume = head()
    known = sitk.AffineTransform(3)
    known.SetMatrix([1.06, 0.03, 0, 0, 0.95, 0.02, 0.01, 0, 1.04])
    known.SetCenter([80.0, 80.0, 80.0])
    known.SetTranslation((4, -3, 2))
    _, found = run(reading(volume, moved_by(volume, known)), "affine")
    assert target_error_voxels(volume, found, known) < 0.5


def bend(volume: Volume, amplitude_mm: float) -> object:
    """A smooth displacement that vanishes nowhere in particular, and folds nowhere."""
    image = to_itk(volume)
    size, matrix = volume.shape, np.array(image.GetDirection()).reshape(3, 3)
    grid = np.stack(np.meshgrid(*(np.arange(n) / n * 2 * np.pi for n in size), indexing="ij"))
    waves = np.stack([np.sin(grid[1]), np.sin(grid[2] + 1), np.sin(grid[0] + 2)], axis=-1) * amplitude_mm
    field = sitk.GetImageFromArray(np.ascontiguousarray((waves @ matrix.T).transpose(2, 1, 0, 3)), isVector=True)
    field.CopyInformation(image)
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def test_deformable_follows_a_bend_without_folding(reading: MakeReading) -> None:
    volume = head()
    known = bend(volume, 5.0)
    inverse = sitk.DisplacementFieldTransform(sitk.InvertDisplacementField(known.GetDisplacementField()))
    image = to_itk(volume)
    other = from_itk(sitk.Resample(image, image, inverse, sitk.sitkLinear, 0.0))
    ctx = reading(volume, volume.with_array(np.rint(other).astype(np.int16)))
    result, found = run(ctx, "deformable")
    before = target_error_voxels(volume, sitk.Transform(3, sitk.sitkIdentity), known)
    assert target_error_voxels(volume, found, known) < min(1.0, 0.6 * before)
    quality = result.transform
    assert quality is not None
    assert 0 < quality.jacobian_min < 1 < quality.jacobian_max
    assert quality.folded_share == 0
    assert result.transform.file.endswith(".h5")


def test_mutual_information_aligns_another_contrast(reading: MakeReading) -> None:
    volume = head()
    known = turned((4, 3, -6), (5, 4, -3), (80, 80, 80))
    other = moved_by(volume, known)
    contrast = np.where(other.array > 50, 900 - 0.6 * other.array, 0).astype(np.int16)
    ctx = reading(volume, replace(other, array=contrast, modality="CT"))
    result, found = run(ctx)
    assert target_error_voxels(volume, found, known) < 0.5
    assert "mutual information" in result.summary


def test_deformable_follows_a_bend_in_another_contrast(reading: MakeReading) -> None:
    """Values that fall, and not in a line: only mutual information can match them."""
    volume = head()
    known = bend(volume, 5.0)
    inverse = sitk.DisplacementFieldTransform(sitk.InvertDisplacementField(known.GetDisplacementField()))
    image = to_itk(volume)
    other = from_itk(sitk.Resample(image, image, inverse, sitk.sitkLinear, 0.0))
    contrast = np.where(other > 50, 1200 * np.exp(-other / 500), 0)
    bent = volume.with_array(np.rint(contrast).astype(np.int16))
    result, found = run(reading(volume, replace(bent, modality="CT")), "deformable")
    before = target_error_voxels(volume, sitk.Transform(3, sitk.sitkIdentity), known)
    assert target_error_voxels(volume, found, known) < min(1.0, 0.6 * before)
    assert "mutual information" in result.summary
    quality = result.transform
    assert quality is not None
    assert quality.folded_share == 0


def test_an_itk_image_lies_where_ours_lies() -> None:
    for codes in ("RAS", "LPS", "SRP"):
        volume = to_orientation(phantom_volume((6, 8, 7)), codes)
        image = to_itk(volume)
        assert np.allclose(affine_of(image), volume.affine_ras)
        point = image.TransformIndexToPhysicalPoint((2, 5, 3))
        assert np.allclose(world_to_voxel(volume, np.array(point) * [-1, -1, 1]), (2, 5, 3))
        assert image.GetPixel(2, 5, 3) == volume.array[2, 5, 3]
        assert np.array_equal(from_itk(image), volume.array)


def test_a_working_copy_keeps_the_outer_edges() -> None:
    volume = head()
    copy = working_copy(to_itk(volume), 6.0)
    affine = affine_of(copy)
    for corner in (np.zeros(3), np.ones(3)):
        ours = volume.affine_ras @ [*(np.array(volume.shape) * corner - 0.5), 1]
        theirs = affine @ [*(np.array(copy.GetSize()) * corner - 0.5), 1]
        assert np.allclose(ours, theirs)


# --- refusals


def without_spacing() -> Volume:
    return replace(head(), spacing_source=None, affine_ras=np.eye(4), header=ORIENTATION_UNKNOWN)


def test_no_spacing_is_refused(reading: MakeReading) -> None:
    with pytest.raises(UnsupportedError, match="img2 has no physical spacing"):
        run(reading(head(), without_spacing()))


def test_two_body_parts_are_refused_and_neighbours_are_not(reading: MakeReading) -> None:
    ctx = reading(head(), head(), facts=({"body_part": "HEAD"}, {"body_part": "PELVIS"}))
    with pytest.raises(UnsupportedError, match="img1 shows HEAD and img2 shows PELVIS: different body parts"):
        run(ctx)


def test_the_same_image_twice_and_an_empty_one_are_refused(reading: MakeReading) -> None:
    volume = head()
    blank = volume.with_array(np.zeros(volume.shape, np.int16))
    ctx = reading(volume, blank)
    with pytest.raises(BadInputError, match="it is img1 itself"):
        register(ctx, fixed="img1", moving="img1")
    with pytest.raises(BadInputError, match="img2 holds the value 0 everywhere"):
        run(ctx)


def test_one_slice_is_refused_before_anything_runs(reading: MakeReading) -> None:
    volume = head()
    flat = Volume(volume.array[:, :, 18:19], volume.affine_ras, spacing_source="NIfTI header", modality="MR")
    ctx = reading(volume, flat)
    with pytest.raises(UnsupportedError, match="img2 is 2-D, 3-D is needed: images are laid on each other in space"):
        check_call(register, {"fixed": "img1", "moving": "img2"}, ctx.workspace.facts(), None)
    with pytest.raises(UnsupportedError, match="img2 is a single image"):
        run(ctx)


def test_unrelated_noise_fits_nothing(reading: MakeReading) -> None:
    noise = np.random.default_rng(3).integers(0, 900, head().shape).astype(np.int16)
    with pytest.raises(UnsupportedError, match="nothing in img2 fits img1"):
        run(reading(head(), head().with_array(noise)))


def dicom_reading(folder: Path, **second: str) -> Workspace:
    workspace = Workspace(folder / "reading")
    for number, changes in enumerate(({}, second)):
        source = folder / f"series{number}"
        write_dicom_series(source, phantom_volume((8, 8, 6)), edit=lambda ds, _, c=changes: ds.update(_elements(c)))
        facts = AttachmentFacts(id=f"img{number + 1}", modality="CT", modality_source="header", dims=3)
        workspace.add_attachment(source, facts)
    return workspace


def _elements(changes: dict[str, str]) -> dict[str, object]:
    from pydicom import Dataset

    data = Dataset()
    for key, value in changes.items():
        setattr(data, key, value)
    return {element.tag: element for element in data}


def test_two_patients_are_refused_and_never_named(tmp_path: Path) -> None:
    workspace = dicom_reading(tmp_path, PatientID="OTHER-815", PatientName="OTHER^ONE")
    with pytest.raises(UnsupportedError, match="img1 and img2 are of different patients") as refused:
        require_same_patient(workspace, "img1", "img2")
    assert not any(name in str(refused.value) for name in ("CANARY", "OTHER", "815", "4711"))


def test_one_patient_is_known_as_such_however_the_name_is_written(tmp_path: Path) -> None:
    workspace = dicom_reading(tmp_path, PatientID="", PatientName="canary patient")
    assert require_same_patient(workspace, "img1", "img2") == "same patient"


def test_cancelling_stops_the_optimiser(reading: MakeReading) -> None:
    volume = head()
    ctx = reading(volume, moved_by(volume, turned((6, -4, 9), (7, -5, 4), (80, 80, 80))))
    for kind in ("rigid", "deformable"):
        told: list[float] = []
        object.__setattr__(ctx, "on_progress", lambda fraction, _, told=told: told.append(fraction))
        object.__setattr__(ctx, "is_cancelled", lambda told=told: len(told) > 6)
        with pytest.raises(CancelledError):
            run(ctx, kind)
        assert len(told) < 12
        assert told == sorted(told)


# --- real images


@pytest.mark.samples
@pytest.mark.parametrize("asset", ["brain-t1", "chest-ct"])
def test_the_samples_are_aligned_within_a_voxel(sample: object, asset: str) -> None:
    path = sample(asset, "t1.nii.gz" if asset == "brain-t1" else "cxr.nii.gz")  # type: ignore[operator]
    whole = read_image(path)
    every = (2, 2, 2) if asset == "brain-t1" else (4, 4, 1)  # a quarter of the pixels: the suite stays quick
    affine = whole.affine_ras @ np.diag([*every, 1])
    volume = Volume(np.ascontiguousarray(whole.array[:: every[0], :: every[1], :: every[2]]), affine, "NIfTI header")
    if asset == "chest-ct":
        volume = volume.with_array(np.maximum(volume.array, -1000))
    image = to_itk(volume)
    centre = image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in volume.shape])
    known = turned((5, -3, 8), (9, -6, 5), centre)
    darkest = float(volume.array.min())
    other = sitk.Resample(image, image, known.GetInverse(), sitk.sitkLinear, darkest)
    pair = working_pair(image, other, same_modality=True, voxels=250_000)
    found = align(pair, "rigid", lambda *_: None, 0)
    assert target_error_voxels(volume, found, known) < 1.0
