import errno
import gzip
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from tests.phantoms import asymmetric_array, oblique_affine, phantom_volume
from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.imaging.geometry import to_orientation, voxel_to_world
from tools.imaging.nifti import looks_like_ct, read_nifti, write_nifti
from tools.imaging.read import read_image
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume


def nifti(path, array=None, affine=None, *, sform=1, qform=0, units="mm", edit=None):
    """A NIfTI file made by nibabel, with the two codes set as wanted."""
    array = asymmetric_array() if array is None else array
    affine = oblique_affine() if affine is None else affine
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    image.header.set_xyzt_units(units)
    if edit is not None:
        edit(image)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL", "IRP", "AIL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_any_orientation_lands_on_its_world_points(tmp_path, codes, suffix):
    volume = to_orientation(phantom_volume(), codes)
    read = read_image(nifti(tmp_path / f"x{suffix}", volume.array, volume.affine_ras))
    np.testing.assert_array_equal(read.array, volume.array)
    np.testing.assert_allclose(read.affine_ras, volume.affine_ras, atol=1e-4)
    assert read.array.dtype == np.int16
    assert (read.modality, read.units, read.spacing_source) == ("", "", "NIfTI header")


def test_the_sform_comes_before_the_qform(tmp_path):
    other = oblique_affine(origin=(0, 0, 0))

    def two_forms(image):
        image.set_qform(other, code=1)

    read = read_nifti(nifti(tmp_path / "x.nii", sform=4, edit=two_forms))
    np.testing.assert_allclose(read.affine_ras, oblique_affine(), atol=1e-4)
    assert read.header["AffineNote"] == "sform, code 4"
    assert "qform places the corners up to 24" in read.header["FormNote"]


def test_the_qform_where_the_sform_says_nothing(tmp_path):
    def wrong_sform(image):
        image.set_sform(np.diag([9.0, 9, 9, 1]), code=0)

    read = read_nifti(nifti(tmp_path / "x.nii", sform=0, qform=1, edit=wrong_sform))
    np.testing.assert_allclose(read.affine_ras, oblique_affine(), atol=1e-4)
    assert "FormNote" not in read.header


def test_neither_form_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match=r"left and right are unknown"):
        read_nifti(nifti(tmp_path / "x.nii", sform=0, qform=0))


def test_mirrored_forms_are_refused(tmp_path):
    def mirror(image):
        image.set_qform(oblique_affine() @ np.diag([-1.0, 1, 1, 1]), code=1)

    with pytest.raises(UnsupportedError, match=r"mirror images"):
        read_nifti(nifti(tmp_path / "x.nii", edit=mirror))


def test_a_sheared_sform_is_refused(tmp_path):
    sheared = oblique_affine()
    sheared[:3, 2] += 0.1 * sheared[:3, 1]
    with pytest.raises(UnsupportedError, match=r"not at right angles"):
        read_nifti(nifti(tmp_path / "x.nii", affine=sheared))


def test_spacing_that_contradicts_the_affine_is_refused(tmp_path):
    def wrong_pixdim(image):
        image.header["pixdim"][1:4] = [1, 1, 1]

    with pytest.raises(UnsupportedError, match=r"contradicts itself"):
        read_nifti(nifti(tmp_path / "x.nii", edit=wrong_pixdim))


def test_a_singular_or_infinite_affine_is_refused(tmp_path):
    path = nifti(tmp_path / "x.nii")
    raw = bytearray(path.read_bytes())
    for first_row in (bytes(raw[296:312]), np.array([np.nan, 0, 0, 0], "<f4").tobytes()):
        raw[280:296] = first_row  # srow_x: once a copy of srow_y, once not a number
        path.write_bytes(raw)
        with pytest.raises(BadInputError, match=r"cannot be inverted"):
            read_nifti(path)


@pytest.mark.parametrize(("units", "scale"), [("mm", 1), ("micron", 0.001), ("meter", 1000)])
def test_lengths_become_millimetres(tmp_path, units, scale):
    read = read_nifti(nifti(tmp_path / "x.nii", units=units))
    assert read.spacing_mm == pytest.approx((0.7 * scale, 0.9 * scale, 2.5 * scale), rel=1e-5)
    np.testing.assert_allclose(read.affine_ras[:3, 3], np.array([-31.0, 17.5, 240.25]) * scale, rtol=1e-6)
    assert "UnitsNote" not in read.header


def test_unknown_units_are_taken_as_mm_and_said(tmp_path):
    read = read_nifti(nifti(tmp_path / "x.nii", units="unknown"))
    assert read.spacing_mm == pytest.approx((0.7, 0.9, 2.5), rel=1e-5)
    assert "mm assumed" in read.header["UnitsNote"]


def test_slope_and_intercept_are_applied(tmp_path):
    path = nifti(tmp_path / "x.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([2.0, -1024.0], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(raw)
    read = read_nifti(path)
    np.testing.assert_array_equal(read.array, asymmetric_array().astype(int) * 2 - 1024)
    assert read.array.dtype == np.int16
    raw[112:120] = np.array([0.5, 0.25], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_allclose(read_nifti(path).array, asymmetric_array() * 0.5 + 0.25)


def test_four_dimensions_ask_for_a_volume(tmp_path):
    array = np.stack([asymmetric_array(), asymmetric_array() + 1000, asymmetric_array() + 2000], axis=-1)
    path = nifti(tmp_path / "x.nii.gz", array)
    with pytest.raises(UnsupportedError, match=r"4-D with 3 volumes.*#1 to .*#3"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, series="2").array, array[..., 1])
    for wrong in ("0", "4"):
        with pytest.raises(NotFoundError, match=r"volumes 1 to 3"):
            read_image(path, series=wrong)
    with pytest.raises(BadInputError, match=r"volume number"):
        read_image(path, series="two")


def test_trailing_single_dimensions_are_dropped(tmp_path):
    read = read_nifti(nifti(tmp_path / "x.nii", asymmetric_array()[..., None, None]))
    np.testing.assert_array_equal(read.array, asymmetric_array())
    assert read_nifti(nifti(tmp_path / "y.nii", asymmetric_array()[:, :, 0])).dims == 2
    with pytest.raises(UnsupportedError, match=r"5 dimensions"):
        read_nifti(nifti(tmp_path / "z.nii", np.zeros((3, 3, 3, 2, 2), np.int16)))
    with pytest.raises(NotFoundError, match=r"holds one volume"):
        read_image(tmp_path / "x.nii", series="2")


@pytest.mark.parametrize(("bad", "count"), [([np.nan], 1), ([np.inf, -np.inf, np.nan], 3)])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path, bad, count):
    array = asymmetric_array().astype(np.float32)
    array.ravel()[: len(bad)] = bad
    with pytest.raises(BadInputError, match=f"{count} voxels that are not numbers"):
        read_nifti(nifti(tmp_path / "x.nii", array))


def test_colour_and_complex_are_refused(tmp_path):
    rgb = np.zeros((3, 4, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for array in (rgb, np.zeros((3, 4, 5), np.complex64)):
        with pytest.raises(UnsupportedError, match=r"colour or complex"):
            read_nifti(nifti(tmp_path / "x.nii", array))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path, suffix, share):
    content = nifti(tmp_path / f"whole{suffix}", np.random.default_rng(0).integers(0, 999, (20, 20, 20), np.int16))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(content.read_bytes()[: int(content.stat().st_size * share)])
    with pytest.raises(BadInputError) as refusal:
        read_image(cut)
    assert "\n" not in str(refusal.value)
    assert cut.name in str(refusal.value)


def test_content_counts_not_the_name(tmp_path):
    path = nifti(tmp_path / "x.nii.gz")
    read = read_image(path.rename(tmp_path / "scan"))
    np.testing.assert_array_equal(read.array, asymmetric_array())


def test_nifti2_and_big_endian(tmp_path):
    second = nib.Nifti2Image(asymmetric_array(), oblique_affine())
    nib.save(second, tmp_path / "second.nii")
    big = nib.Nifti1Image(asymmetric_array(), oblique_affine(), nib.Nifti1Header(endianness=">"))
    big.set_sform(oblique_affine(), code=1)
    nib.save(big, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    for name in ("second.nii", "big.nii"):
        read = read_image(tmp_path / name)
        np.testing.assert_array_equal(read.array, asymmetric_array())
        np.testing.assert_allclose(read.affine_ras, oblique_affine(), atol=1e-4)
        assert read.array.dtype.isnative


def test_a_two_file_header_says_how_to_go_on(tmp_path):
    nib.save(nib.Nifti1Pair(asymmetric_array(), oblique_affine()), tmp_path / "pair.hdr")
    with pytest.raises(BadInputError, match=r"convert it to one .nii.gz"):
        read_image(tmp_path / "pair.hdr")


# writing


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAR", "IPR"])
def test_a_mask_lands_on_the_points_of_its_image(tmp_path, codes, suffix):
    volume = to_orientation(phantom_volume(), codes)
    mask = volume.array > 20
    write_nifti(tmp_path / f"m{suffix}", mask, volume)
    other = nib.load(tmp_path / f"m{suffix}")
    assert other.get_data_dtype() == np.uint8
    assert (int(other.header["sform_code"]), int(other.header["qform_code"])) == (1, 1)
    index = np.argwhere(mask)
    np.testing.assert_allclose(nib.affines.apply_affine(other.affine, index), voxel_to_world(volume, index), atol=1e-4)
    np.testing.assert_allclose(
        nib.affines.apply_affine(other.get_qform(), index), voxel_to_world(volume, index), atol=1e-3
    )
    read = read_image(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(read.array, mask)
    assert read.same_grid(volume, tolerance=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64, np.uint16])
def test_numbers_are_written_unscaled(tmp_path, dtype):
    volume = phantom_volume()
    values = (volume.array + 100).astype(dtype)
    write_nifti(tmp_path / "x.nii.gz", values, volume)
    read = read_nifti(tmp_path / "x.nii.gz")
    assert read.array.dtype == dtype
    np.testing.assert_array_equal(read.array, values)


def test_long_integers_become_32_bit_or_are_refused(tmp_path):
    volume = phantom_volume()
    write_nifti(tmp_path / "x.nii", volume.array.astype(np.int64), volume)
    assert read_nifti(tmp_path / "x.nii").array.dtype == np.int32
    with pytest.raises(ValueError, match=r"32-bit"):
        write_nifti(tmp_path / "y.nii", volume.array.astype(np.int64) + 2**40, volume)
    assert not (tmp_path / "y.nii").exists()


def test_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"shape"):
        write_nifti(tmp_path / "x.nii", np.zeros((2, 2, 2)), phantom_volume())


def test_no_spacing_stays_no_spacing(tmp_path):
    picture = Volume(np.zeros((5, 4, 1), np.uint8), np.diag([-1.0, -1, 1, 1]), header=ORIENTATION_UNKNOWN)
    write_nifti(tmp_path / "x.nii.gz", picture.array, picture)
    read = read_image(tmp_path / "x.nii.gz")
    assert read.spacing_source is None
    assert not read.orientation_known
    assert read.same_grid(picture)
    film = replace(picture, spacing_source="ImagerPixelSpacing")
    write_nifti(tmp_path / "y.nii.gz", film.array, film)
    read = read_image(tmp_path / "y.nii.gz")
    assert read.spacing_source == "NIfTI header"
    assert not read.orientation_known


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    volume = phantom_volume()
    write_nifti(tmp_path / "m.nii.gz", volume.array > 0, volume)
    before = (tmp_path / "m.nii.gz").read_bytes()

    def full(_image, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nib, "save", full)
    with pytest.raises(UnavailableError, match=r"disk full: 'm.nii.gz' was not written"):
        write_nifti(tmp_path / "m.nii.gz", volume.array > 5, volume)
    assert (tmp_path / "m.nii.gz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.nii.gz"]


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(UnavailableError, match=r"was not written"):
        write_nifti(tmp_path / "none" / "m.nii.gz", phantom_volume().array, phantom_volume())


# what it may be


def chest_like():
    values = np.random.default_rng(0).normal(40, 20, (40, 40, 40)).astype(np.int16)
    values[:8] = -1000
    values[15:25, 15:25] = -850
    values[30:32] = 700
    return Volume(values, np.eye(4), "NIfTI header")


def test_hounsfield_content_is_told_from_other_content():
    chest = chest_like()
    assert looks_like_ct(chest)
    assert looks_like_ct(chest.with_array(np.where(chest.array == -1000, -2048, chest.array)))
    for other in (
        chest.array + 1024,
        np.abs(chest.array),
        chest.array / 500,
        np.where(chest.array < -200, -1000, 900),
        chest.array.astype(float) * 50,
        chest.array > 0,
    ):
        assert not looks_like_ct(chest.with_array(np.asarray(other)))
    assert not looks_like_ct(Volume(chest.array[:, :, :1], np.eye(4)))


def test_gzip_that_is_no_nifti(tmp_path):
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(b"hello world" * 100))
    with pytest.raises(BadInputError, match=r"named .gz but is not NIfTI"):
        read_image(tmp_path / "x.nii.gz")


def declaring(path, shape, body=b"", opener=gzip.open):
    """A file whose header declares a shape, whatever follows."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), code=1)
    header.set_qform(np.eye(4), code=1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    with opener(path, "wb") as file:
        file.write(header.binaryblock + b"\0" * 4 + body)
    return path


@pytest.mark.parametrize(
    ("shape", "said"),
    [((1500, 1500, 3000), r"unpacks to 12\.6 GiB, more than 8"), ((1100, 1000, 1000), r"a gzip bomb\?")],
)
def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, shape, said):
    monkeypatch.setattr("nibabel.arrayproxy.ArrayProxy", None)  # nothing may get as far as the voxels
    with pytest.raises(UnsupportedError, match=said):
        read_image(declaring(tmp_path / "x.nii.gz", shape))


def test_what_follows_the_declared_voxels_is_never_unpacked(tmp_path):
    path = declaring(tmp_path / "x.nii.gz", (2, 2, 2), b"\1\0" * 8 + b"\0" * 50_000_000)
    unpacked = []

    class Counting(gzip.GzipFile):
        def read(self, size=-1):
            unpacked.append(len(data := super().read(size)))
            return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.imaging.nifti.gzip.open", Counting)
        assert read_nifti(path).array.tolist() == np.ones((2, 2, 2)).tolist()
    assert sum(unpacked) < 5_000


def test_a_plain_file_that_declares_more_than_it_has_is_cut_short(tmp_path):
    with pytest.raises(BadInputError, match=r"cut short \(352 of 13,500,000,352 bytes"):
        read_nifti(declaring(tmp_path / "x.nii", (1500, 1500, 3000), opener=open))


def test_a_file_larger_than_memory_is_refused_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nib.save(nib.Nifti1Image(np.zeros((200, 200, 50), np.int16), np.eye(4)), tmp_path / "vast.nii")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=3_000_000))
    with pytest.raises(UnavailableError, match=r"'vast.nii' needs about 0.0 GB of memory, 0.0 GB are free: crop"):
        read_nifti(tmp_path / "vast.nii")
