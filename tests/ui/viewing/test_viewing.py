"""What the viewer is given, without a browser: geometry, labels, slices, places."""

import numpy as np
import pytest

from tests.oriented_phantom import phantom_of
from tools.errors import BadInputError
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from ui.viewing.convert import layers_of, nifti_of, pixels_of
from ui.viewing.describe import image_info, stored_type
from ui.viewing.slices import slice_picture, thumbnail, view_of

ORIENTATIONS = ("RAS", "LPS", "PSR", "ILA", "SAL")


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_left_front_and_head_lie_where_radiologists_look_for_them(codes):
    volume, world = phantom_of(codes)
    voxel = np.rint(np.linalg.solve(volume.affine_ras[:3, :3], world - volume.affine_ras[:3, 3])).astype(int)
    for plane, is_right, is_upper in (("axial", True, True), ("coronal", True, True), ("sagittal", False, True)):
        index = int(voxel[view_of(volume, plane).across])
        bright = np.asarray(slice_picture(volume, plane, index, (0, 100)))[..., 0] > 200
        rows, columns = np.nonzero(bright)
        assert len(rows), (codes, plane)
        assert (columns.mean() > bright.shape[1] / 2) == is_right, (codes, plane)
        assert (rows.mean() < bright.shape[0] / 2) == is_upper, (codes, plane)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_nifti_keeps_values_and_geometry(codes, tmp_path):
    from tools.imaging.read import read_image

    volume, _ = phantom_of(codes)
    read = read_image(nifti_of(volume, tmp_path / "img1.nii"))
    assert np.array_equal(read.array, volume.array)
    assert np.allclose(read.affine_ras, volume.affine_ras)
    before = (tmp_path / "img1.nii").stat().st_mtime_ns
    nifti_of(volume, tmp_path / "img1.nii")
    assert (tmp_path / "img1.nii").stat().st_mtime_ns == before  # written once


def test_colour_volumes_keep_their_colours(tmp_path):
    import nibabel as nib

    array = np.random.default_rng(3).integers(0, 255, (4, 5, 6, 3)).astype(np.uint8)
    path = nifti_of(Volume(array, np.eye(4)), tmp_path / "c.nii")
    read = np.asarray(nib.load(path).dataobj)
    assert np.array_equal(np.stack([read["R"], read["G"], read["B"]], -1), array)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[[0.0, 1000.0]]], np.float64), "int16"),
        (np.array([[[0.0, 0.5]]], np.float32), "float32"),
        (np.array([[[0, 40000]]], np.uint16), "float32"),
        (np.array([[[0, 4095]]], np.uint16), "int16"),
        (np.array([[[True, False]]]), "uint8"),
        (np.array([[[0.0, np.nan]]], np.float32), "float32"),
    ],
)
def test_sixteen_bits_only_where_nothing_is_lost(array, expected):
    assert stored_type(Volume(array, np.eye(4))).name == expected


def test_overlapping_masks_get_layers_of_their_own():
    both, left, right = (np.zeros((6, 4, 3), bool) for _ in range(3))
    both[1:5, 1:3, 1] = True
    left[1:3, 1:3, 1] = right[3:5, 1:3, 1] = True
    layers = layers_of("s1", [("lungs", both), ("lung_left", left), ("lung_right", right), ("empty", both & ~both)])
    assert [[r.id for r in layer.regions] for layer in layers] == [
        ["s1/lungs", "s1/empty"],
        ["s1/lung_left", "s1/lung_right"],
    ]
    for layer in layers:
        for region in layer.regions:
            assert np.count_nonzero(layer.labels == region.label) == region.voxels
            assert region.voxels == 0 or layer.labels[region.at] == region.label
    assert len({r.colour for layer in layers for r in layer.regions}) == 4


def test_no_spacing_and_no_unit_are_said():
    info = image_info(Volume(np.arange(12.0).reshape(3, 4, 1), np.eye(4), header=ORIENTATION_UNKNOWN))
    assert info["kind"] == "film"
    assert info["spacing_mm"] is None
    assert info["units"] == ""
    assert info["orientation_known"] is False
    assert [p["name"] for p in info["presets"]] == ["automatic"]
    ct = image_info(phantom_of("LPS")[0])
    assert [p["name"] for p in ct["presets"]] == ["lung", "bone", "brain", "soft tissue"]
    assert ct["presets"][0]["window"] == [-1350.0, 150.0]


def test_films_are_sent_row_by_row():
    array = np.arange(6, dtype=np.int16).reshape(3, 2, 1)  # three columns, two rows
    assert np.frombuffer(pixels_of(Volume(array, np.eye(4))), "<i2").tolist() == [0, 2, 4, 1, 3, 5]


def test_thumbnails_are_small_and_bad_slices_refused():
    volume, _ = phantom_of("LPS")
    assert max(thumbnail(volume, (0, 100)).size) <= 96
    with pytest.raises(BadInputError, match="plane must be one of"):
        slice_picture(volume, "oblique", 0, (0, 1))
    with pytest.raises(BadInputError, match="index must be from 0 to"):
        slice_picture(volume, "axial", 999, (0, 1))
