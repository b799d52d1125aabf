from dataclasses import replace
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantoms import asymmetric_array, oblique_affine, phantom_volume
from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import (
    closest_canonical,
    describe_geometry,
    from_canonical,
    orientation_codes,
    to_orientation,
    voxel_to_world,
    world_to_voxel,
)
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume

ALL_48 = ["".join(c) for order in permutations(("LR", "PA", "IS")) for c in product(*order)]


def world_map(volume: Volume) -> dict[tuple[float, ...], int]:
    """Value at every world point, rounded: what reorientation must not change."""
    index = np.indices(volume.shape).reshape(3, -1).T
    points = index @ volume.affine_ras[:3, :3].T + volume.affine_ras[:3, 3]
    return {tuple(np.round(p, 6) + 0.0): int(v) for p, v in zip(points, volume.array.ravel(), strict=True)}


@pytest.mark.parametrize("codes", ALL_48)
def test_reorientation_leaves_every_value_at_its_world_point(codes):
    volume = phantom_volume()
    turned = to_orientation(volume, codes)
    assert "".join(nib.aff2axcodes(turned.affine_ras)) == codes == orientation_codes(turned.affine_ras)
    assert world_map(turned) == world_map(volume)
    back = to_orientation(turned, "LPS")
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.affine_ras, volume.affine_ras, atol=1e-12)


@pytest.mark.parametrize("codes", ALL_48)
def test_a_mask_made_on_the_canonical_volume_comes_back_to_its_image(codes):
    volume = to_orientation(phantom_volume(), codes)
    canonical = closest_canonical(volume)
    assert orientation_codes(canonical.affine_ras) == "RAS"
    np.testing.assert_array_equal(from_canonical(canonical.array, volume), volume.array)


@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    flip=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_oblique_affine_there_and_back(angles, spacing, origin, flip):
    affine = oblique_affine(spacing, angles, origin) @ np.diag([-1.0 if flip else 1.0, 1, 1, 1])
    volume = Volume(asymmetric_array(), affine, "NIfTI header")
    index = np.random.default_rng(0).uniform(-5, 12, (20, 3))
    np.testing.assert_allclose(world_to_voxel(volume, voxel_to_world(volume, index)), index, atol=1e-8)
    canonical = closest_canonical(volume)
    assert sorted(canonical.shape) == sorted(volume.shape)
    np.testing.assert_array_equal(from_canonical(canonical.array, volume), volume.array)
    expected = nib.as_closest_canonical(nib.Nifti1Image(asymmetric_array(), affine))
    steps = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    if np.sort(steps, axis=0)[-1].min() - np.sort(steps, axis=0)[-2].max() > 0.05:  # the nearest axis is clear
        np.testing.assert_array_equal(canonical.array, np.asanyarray(expected.dataobj))
        np.testing.assert_allclose(canonical.affine_ras, expected.affine, atol=1e-9)


def test_one_voxel_is_where_the_arithmetic_says():
    affine = np.array([[-0.5, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2, -30], [0, 0, 0, 1.0]])
    volume = Volume(asymmetric_array(), affine, "NIfTI header")
    np.testing.assert_allclose(voxel_to_world(volume, np.array([2, 4, 3])), [9, 18, -24])
    np.testing.assert_allclose(world_to_voxel(volume, np.array([[9, 18, -24.0]])), [[2, 4, 3]])


def test_colour_and_channels_travel_along():
    volume = Volume(np.random.default_rng(1).integers(0, 255, (4, 3, 2, 3), np.uint8), oblique_affine(), "PixelSpacing")
    np.testing.assert_array_equal(from_canonical(closest_canonical(volume).array, volume), volume.array)


@pytest.mark.parametrize("codes", ["RRS", "RA", "XYZ", "", "RASL"])
def test_codes_must_be_a_triple(codes):
    with pytest.raises(BadInputError, match=r"codes must name"):
        to_orientation(phantom_volume(), codes)


def test_what_has_no_orientation_is_not_reoriented():
    with pytest.raises(UnsupportedError, match=r"2-D"):
        closest_canonical(phantom_volume((7, 6, 1)))
    with pytest.raises(UnsupportedError, match=r"does not say how it lies"):
        closest_canonical(replace(phantom_volume(), header=ORIENTATION_UNKNOWN))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape"):
        from_canonical(np.zeros((3, 3, 3)), phantom_volume())


def test_geometry_in_words():
    assert describe_geometry(phantom_volume()) == {
        "shape": [7, 6, 5],
        "dims": 3,
        "spacing_mm": [0.7, 0.9, 2.5],
        "spacing_source": "PixelSpacing",
        "orientation": "LPS",
        "extent_mm": [4.9, 5.4, 12.5],
        "dtype": "int16",
        "colour": False,
    }
    flat = describe_geometry(Volume(np.zeros((4, 3, 1)), np.eye(4), header=ORIENTATION_UNKNOWN))
    assert flat["spacing_mm"] is flat["extent_mm"] is flat["orientation"] is None
    assert flat["shape"] == [4, 3]
