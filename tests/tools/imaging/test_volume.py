import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests.phantoms import asymmetric_array, oblique_affine, phantom_volume
from tools.errors import UnsupportedError
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume


def test_array_and_affine_are_read_only_and_the_callers_stay_writable():
    array, affine = asymmetric_array(), oblique_affine()
    volume = Volume(array, affine)
    with pytest.raises(ValueError, match=r"read-only"):
        volume.array[0, 0, 0] = 1
    with pytest.raises(ValueError, match=r"read-only"):
        volume.affine_ras[0, 0] = 1
    affine[0, 0] = 99
    array[0, 0, 0] = 7
    assert volume.affine_ras[0, 0] != 99


def test_header_cannot_be_changed():
    with pytest.raises(TypeError):
        Volume(asymmetric_array(), np.eye(4), header={"KVP": "120"}).header["KVP"] = "80"  # type: ignore[index]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4)), "axes"),
        (np.zeros((3, 0, 2)), "at least one voxel"),
        (np.zeros((3, 4, 1, 3)), "uint8"),
        (np.zeros((3, 4, 1, 4), np.uint8), "uint8"),
        (np.zeros((3, 4, 2), complex), "real numbers"),
        (np.array([[["a"]]]), "real numbers"),
    ],
)
def test_what_is_no_image_array_is_refused(array, message):
    with pytest.raises(ValueError, match=message):
        Volume(array, np.eye(4))


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), r"\(4, 4\)"),
        (np.diag([1, 1, np.nan, 1]), "finite"),
        (np.diag([1.0, 0, 1, 1]), "invertible"),
        (np.diag([1.0, 1, 1, 2]), "row 0 0 0 1"),
        (np.array([[1.0, 2, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "invertible"),
    ],
)
def test_what_is_no_affine_is_refused(affine, message):
    with pytest.raises(ValueError, match=message):
        Volume(asymmetric_array(), affine)


def test_tiny_voxels_are_an_affine_too():
    assert Volume(
        np.zeros((2, 2, 2)), np.diag([1e-4, 1e-4, 1e-4, 1]), "NIfTI header"
    ).voxel_volume_mm3 == pytest.approx(1e-12)


def test_spacing_is_the_length_of_the_affine_columns():
    volume = phantom_volume()
    assert volume.spacing_mm == pytest.approx((0.7, 0.9, 2.5))
    assert volume.voxel_volume_mm3 == pytest.approx(0.7 * 0.9 * 2.5)
    assert volume.pixel_area_mm2 == pytest.approx(0.7 * 0.9)
    assert (volume.dims, volume.shape, volume.is_colour) == (3, (7, 6, 5), False)


def test_half_the_spacing_is_a_quarter_of_the_area_and_an_eighth_of_the_volume():
    volume = phantom_volume()
    half = replace(volume, affine_ras=volume.affine_ras @ np.diag([0.5, 0.5, 0.5, 1]))
    assert half.pixel_area_mm2 == pytest.approx(volume.pixel_area_mm2 / 4)
    assert half.voxel_volume_mm3 == pytest.approx(volume.voxel_volume_mm3 / 8)


def test_without_spacing_there_are_no_millimetres():
    volume = replace(phantom_volume(), spacing_source=None)
    for ask in ("spacing_mm", "pixel_area_mm2", "voxel_volume_mm3"):
        with pytest.raises(UnsupportedError, match=r"has no physical spacing"):
            getattr(volume, ask)


def test_a_2d_image_has_an_area_but_no_depth():
    volume = phantom_volume((7, 6, 1))
    assert volume.dims == 2
    assert volume.pixel_area_mm2 == pytest.approx(0.63)
    assert volume.spacing_mm[:2] == pytest.approx((0.7, 0.9))
    assert np.isnan(volume.spacing_mm[2])
    with pytest.raises(UnsupportedError, match=r"3-D"):
        _ = volume.voxel_volume_mm3


def test_colour_keeps_its_axis():
    volume = Volume(np.zeros((4, 3, 1, 3), np.uint8), np.eye(4), header=ORIENTATION_UNKNOWN)
    assert volume.is_colour
    assert volume.shape == (4, 3, 1)
    assert not volume.orientation_known


def test_a_mask_takes_over_the_grid():
    volume = phantom_volume()
    mask = volume.with_array(volume.array > 0, units="")
    assert mask.same_grid(volume)
    assert (mask.units, volume.units, mask.modality) == ("", "HU", "CT")
    with pytest.raises(ValueError, match=r"shape"):
        volume.with_array(np.zeros((6, 7, 5)))


def test_same_grid_compares_world_points_not_numbers():
    volume = phantom_volume((200, 200, 5))
    turned = volume.affine_ras.copy()
    turned[0, 0] += 1e-4  # 0.02 mm at the far corner
    assert not volume.same_grid(replace(volume, affine_ras=turned))
    assert volume.same_grid(replace(volume, affine_ras=turned), tolerance=0.03)
    assert not volume.same_grid(phantom_volume((200, 200, 6)))


def test_big_endian_arrays_become_native_with_the_same_values():
    volume = Volume(asymmetric_array().astype(">i2"), np.eye(4))
    assert volume.array.dtype == np.dtype("=i2")
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, asymmetric_array())


def test_a_pickled_volume_is_the_same_and_still_read_only():
    volume = phantom_volume()
    back = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_array_equal(back.affine_ras, volume.affine_ras)
    assert not back.array.flags.writeable
