from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.phantoms_ct import chest
from tools.imaging.geometry import from_canonical, to_orientation
from tools.imaging.slices import key_slice, pictures, preset_for, window
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume


def test_windows_map_their_edges_to_black_and_white() -> None:
    values = np.array([-1350.0, -600.0, 150.0, 4000.0])
    assert window(values, "lung").tolist() == [0, 128, 255, 255]
    assert window(np.array([-160.0, 40.0, 240.0]), "soft tissue").tolist() == [0, 121, 249]


def test_auto_window_uses_percentiles_and_a_constant_is_black() -> None:
    values = np.arange(1000.0)
    values[0] = -1e9
    shown = window(values, "auto")
    assert (shown[1], shown[999]) == (0, 255)
    assert 120 <= shown[500] <= 135
    assert window(np.full(5, 7.0)).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("names", "preset"),
    [
        (["lungs"], "lung"),
        (["bones"], "bone"),
        (["rib_left_1"], "bone"),
        (["brain"], "brain"),
        (["liver"], "soft tissue"),
    ],
)
def test_the_window_follows_the_targets(names: list[str], preset: str) -> None:
    masks = dict.fromkeys(names, np.zeros(1, bool))
    assert preset_for(chest().volume, masks) == preset
    assert preset_for(replace(chest().volume, units=""), masks) == "auto"


def test_key_slice_is_where_the_mask_is_largest() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[1:3, 1:3, 2] = True
    mask[1:4, 1:4, 5] = True
    assert key_slice(mask, 2) == 5
    assert key_slice(np.zeros((5, 6, 7), bool), 2) == 3


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASL", "SRP"])
def test_the_patients_right_is_on_the_left_of_the_picture(codes: str) -> None:
    phantom = chest()
    turned = to_orientation(phantom.volume, codes)
    masks = {"lung_left": from_canonical(phantom.left, turned), "lung_right": from_canonical(phantom.right, turned)}
    axial, coronal = pictures(turned, masks)
    for picture in (axial, coronal):
        assert picture.left_side == "R"
        columns = {name: np.flatnonzero(mask.any(axis=0)).mean() for name, mask in picture.masks.items()}
        assert columns["lung_right"] < columns["lung_left"]
    assert (axial.slice_count, coronal.slice_count) == (90, 120)
    assert axial.step_mm == pytest.approx((2.0, 2.0))
    assert coronal.step_mm == pytest.approx((3.0, 2.0))


def test_up_is_front_in_axial_and_head_in_coronal() -> None:
    array = np.zeros((20, 24, 28), np.float32)
    array[10, 22, 26] = 1000
    volume = Volume(array, np.eye(4), spacing_source="NIfTI header")
    spot = {"spot": array > 0}
    axial, coronal = pictures(volume, spot, "auto")
    assert np.argwhere(axial.masks["spot"]).tolist() == [[1, 9]]
    assert np.argwhere(coronal.masks["spot"]).tolist() == [[1, 9]]
    assert (axial.slice_number, coronal.slice_number) == (27, 23)


def test_an_image_without_orientation_has_no_sides() -> None:
    volume = Volume(np.zeros((8, 6, 1), np.uint8), np.eye(4), header=ORIENTATION_UNKNOWN)
    (picture,) = pictures(volume, {})
    assert (picture.left_side, picture.has_spacing, picture.gray.shape) == ("", False, (6, 8))
    assert picture.caption == "image as stored"


def test_colour_stays_colour() -> None:
    array = np.zeros((8, 6, 1, 3), np.uint8)
    array[2, 3, 0] = (250, 10, 20)
    (picture,) = pictures(Volume(array, np.eye(4), header=ORIENTATION_UNKNOWN), {})
    assert picture.gray[3, 2].tolist() == [250, 10, 20]
