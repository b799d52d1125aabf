from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.phantoms_ct import SPACING, abdomen, chest, ct, cylinder, dice, head, soft_body
from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import from_canonical, to_orientation
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.models.runtimes.hu_threshold import HuThreshold

if TYPE_CHECKING:
    from tests.conftest import SampleGetter
    from tools.imaging.volume import BoolArray


def segment(volume: Volume, *targets: str) -> dict[str, BoolArray]:
    return dict(HuThreshold().segment(volume, targets, lambda done, what: None).masks)


def test_both_lungs_of_a_phantom() -> None:
    phantom = chest()
    found = segment(phantom.volume, "lungs")["lungs"]
    assert dice(found, phantom.left | phantom.right) > 0.99


def test_trachea_is_not_lung() -> None:
    phantom = chest()
    found = segment(phantom.volume, "lungs")["lungs"]
    assert np.count_nonzero(found & phantom.trachea) < 0.1 * np.count_nonzero(phantom.trachea)


@pytest.mark.parametrize("touching", [False, True])
def test_left_and_right_even_where_they_touch(touching: bool) -> None:
    phantom = chest(touching=touching)
    masks = segment(phantom.volume, "lung_left", "lung_right")
    assert dice(masks["lung_left"], phantom.left) > 0.98
    assert dice(masks["lung_right"], phantom.right) > 0.98
    assert not (masks["lung_left"] & masks["lung_right"]).any()


@pytest.mark.parametrize("codes", ["LPS", "ASL", "SRP", "PIR", "LAI"])
def test_orientation_of_the_file_changes_nothing(codes: str) -> None:
    phantom = chest()
    turned = to_orientation(phantom.volume, codes)
    found = segment(turned, "lung_left")["lung_left"]
    expected = from_canonical(phantom.left, turned)
    assert dice(found, np.asarray(expected)) > 0.98


def test_an_oblique_grid_keeps_the_sides() -> None:
    phantom = chest()
    angle = np.radians(20)
    affine = phantom.volume.affine_ras.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    found = segment(replace(phantom.volume, affine_ras=affine), "lung_left")["lung_left"]
    assert dice(found, phantom.left) > 0.98


def test_thick_slices_and_odd_sizes() -> None:
    phantom = chest()
    thick = phantom.volume.array[1:, :-3, ::2]
    affine = np.diag([*SPACING[:2], 2 * SPACING[2], 1.0])
    found = segment(ct(thick, affine), "lungs")["lungs"]
    assert found.shape == thick.shape
    assert dice(found, (phantom.left | phantom.right)[1:, :-3, ::2]) > 0.98


def test_finer_grid_is_averaged_and_drawn_on_its_own_voxels() -> None:
    phantom = chest()
    i, j, k = (slice(10, 75), slice(20, 111), slice(5, 80))
    fine = phantom.volume.array[i, j, k].repeat(3, 0).repeat(3, 1)[1:, 2:]
    left = phantom.left[i, j, k].repeat(3, 0).repeat(3, 1)[1:, 2:]
    found = segment(ct(fine, np.diag([2 / 3, 2 / 3, 3.0, 1.0])), "lungs")["lungs"]
    assert dice(found, left) > 0.98


def test_padding_outside_the_scanner_circle_is_nothing() -> None:
    phantom = chest()
    array = np.array(phantom.volume.array)
    i, j = np.ogrid[: array.shape[0], : array.shape[1]]
    array[(i - 75) ** 2 + (j - 60) ** 2 > 80**2] = -2048
    assert dice(segment(ct(array), "lungs")["lungs"], phantom.left | phantom.right) > 0.99


def test_lung_cut_by_the_field_of_view_is_kept() -> None:
    phantom = chest()
    array = np.array(phantom.volume.array)
    outside = np.zeros(array.shape, bool)
    outside[:36] = True
    array[outside] = -2048
    found = segment(ct(array), "lung_left")["lung_left"]
    assert dice(found, phantom.left & ~outside) > 0.95


def test_without_trachea_the_notes_say_so() -> None:
    result = HuThreshold().segment(chest(trachea=False).volume, ["lungs"], lambda done, what: None)
    assert any("no trachea" in note for note in result.notes)


def test_lungs_at_the_lowest_slice_are_noted() -> None:
    volume = chest().volume
    cut = ct(np.ascontiguousarray(volume.array[:, :, 40:]))
    result = HuThreshold().segment(cut, ["lungs"], lambda done, what: None)
    assert any("lowest slice" in note for note in result.notes)


def test_a_missing_lung_is_empty_not_invented() -> None:
    phantom = chest()
    array = np.array(phantom.volume.array)
    array[phantom.left] = 40
    masks = segment(ct(array), "lung_left", "lung_right")
    assert not masks["lung_left"].any()
    assert dice(masks["lung_right"], phantom.right) > 0.98


@pytest.mark.parametrize(("volume", "reason"), [(head(), "no lungs found"), (abdomen(), "is gas")])
def test_air_that_is_no_lung_is_refused(volume: Volume, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        segment(volume, "lungs")


def test_both_lungs_are_exactly_left_and_right() -> None:
    masks = segment(chest(touching=True).volume, "lungs", "lung_left", "lung_right")
    assert np.array_equal(masks["lungs"], masks["lung_left"] | masks["lung_right"])


def test_trachea_ends_below_the_carina_and_airways_go_on() -> None:
    phantom = chest(trachea=False)
    array = np.array(phantom.volume.array)
    tube = cylinder((74, 60), 5.0, slice(45, 90))
    for side in (-1, 1):
        for k in range(25, 46):
            tube |= cylinder((74 + side * 0.5 * (46 - k) + side * 4, 60), 3.6, slice(k, k + 1))
    tube &= ~phantom.left & ~phantom.right
    array[tube] = -1000
    masks = segment(ct(array), "trachea", "airways")
    assert dice(masks["airways"], tube) > 0.9
    heights = np.flatnonzero(masks["trachea"].any(axis=(0, 1)))
    assert heights.max() >= 86
    assert 45 - 25 / 3 - 2 <= heights.min() <= 45 - 25 / 3 + 3
    assert np.flatnonzero(masks["airways"].any(axis=(0, 1))).min() < heights.min()


def test_fat_is_found_between_skin_and_muscle() -> None:
    array = np.full((150, 120, 40), -1000, np.int16)
    i, j, _ = np.ogrid[:150, :120, :40]
    outer, inner = (
        np.broadcast_to(((i - 75) / a) ** 2 + ((j - 60) / b) ** 2 <= 1, array.shape) for a, b in ((65, 50), (50, 36))
    )
    array[outer] = -100
    array[inner] = 50
    found = segment(ct(array), "fat")["fat"]
    assert dice(found, outer & ~inner) > 0.9
    assert not (found & inner).any()
    assert not (found & ~outer).any()


def test_body_without_table_and_with_lungs() -> None:
    phantom = chest()
    found = segment(phantom.volume, "body")["body"]
    body = soft_body()
    body[:, :10, :] = -1000
    assert dice(found, body > -500) > 0.985
    assert found[phantom.left].all()
    assert not found[:, 5:9].any()


def test_bones_and_not_the_enhanced_heart() -> None:
    phantom = chest()
    array = np.array(phantom.volume.array)
    i, j, _ = np.ogrid[tuple(slice(0, n) for n in array.shape)]
    spine = np.broadcast_to(((i - 75) / 9) ** 2 + ((j - 28) / 8) ** 2 <= 1, array.shape)
    shell = spine & np.broadcast_to(((i - 75) / 7) ** 2 + ((j - 28) / 6) ** 2 > 1, array.shape)
    grain = np.random.default_rng(3).normal(250, 100, array.shape)
    array[spine] = grain[spine]
    array[shell] = 800
    heart = np.broadcast_to(((i - 75) / 8) ** 2 + ((j - 84) / 9) ** 2 <= 1, array.shape)
    array[heart] = 350
    found = segment(ct(array), "bones")["bones"]
    assert np.count_nonzero(found & spine) > 0.95 * np.count_nonzero(spine)
    assert np.count_nonzero(found & heart) < 0.02 * np.count_nonzero(heart)


def test_no_bone_is_said() -> None:
    with pytest.raises(UnsupportedError, match="no bones"):
        segment(abdomen(), "bones")


def test_values_that_are_no_hounsfield_units_are_refused() -> None:
    shifted = ct(np.array(chest().volume.array) + 1024)
    with pytest.raises(UnsupportedError, match="rescale"):
        segment(shifted, "lungs")


def test_nan_is_refused() -> None:
    array = np.array(chest().volume.array, dtype=np.float32)
    array[3, 3, 3] = np.nan
    with pytest.raises(BadInputError, match="not numbers"):
        segment(ct(array), "lungs")


def test_too_few_slices_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="slices"):
        segment(ct(np.ascontiguousarray(chest().volume.array[:, :, :3])), "lungs")


def test_float_and_integer_voxels_give_the_same() -> None:
    volume = chest().volume
    as_float = replace(volume, array=np.asarray(volume.array, dtype=np.float32))
    assert np.array_equal(segment(volume, "lungs")["lungs"], segment(as_float, "lungs")["lungs"])


@pytest.mark.samples
def test_lungs_of_the_sample_match_its_reference(sample: SampleGetter) -> None:
    volume = replace(read_image(sample("chest-ct", "cxr.nii.gz")), modality="CT", units="HU")
    reference = read_image(sample("chest-ct", "mask.nii.gz")).array
    with sample("chest-ct", "structures.csv").open(encoding="utf-8") as stream:
        names = {int(row["id"]): row["structure"] for row in csv.DictReader(stream)}
    left = [i for i, name in names.items() if name.startswith("lung_") and name.endswith("_left")]
    right = [i for i, name in names.items() if name.startswith("lung_") and name.endswith("_right")]
    assert (left, right) == ([10, 11], [12, 13, 14])
    masks = segment(volume, "lungs", "lung_left", "lung_right", "body", "bones")
    both = np.isin(reference, left + right)
    assert dice(masks["lungs"], both) >= 0.98
    assert abs(np.count_nonzero(masks["lungs"]) / np.count_nonzero(both) - 1) < 0.02
    assert dice(masks["lung_left"], np.isin(reference, left)) >= 0.98
    assert dice(masks["lung_right"], np.isin(reference, right)) >= 0.98
    trachea = reference == 16
    assert np.count_nonzero(masks["lungs"] & trachea) < 0.1 * np.count_nonzero(trachea)
    assert np.count_nonzero(masks["body"] & (reference > 0)) >= 0.999 * np.count_nonzero(reference)
    windpipe = segment(volume, "trachea")["trachea"]
    assert dice(windpipe, trachea) >= 0.82
    skeleton = np.isin(reference, [*range(25, 51), *range(69, 79), *range(91, 117)])
    assert dice(masks["bones"], skeleton) >= 0.72


def _noisy(array: np.ndarray, labels: np.ndarray) -> None:
    array += np.random.default_rng(0).normal(0, 100, array.shape).astype(np.int16)


def _collapsed(array: np.ndarray, labels: np.ndarray) -> None:
    left = np.isin(labels, (10, 11))
    array[left], labels[left] = 20, 0


def _round_view(array: np.ndarray, labels: np.ndarray) -> None:
    i, j = np.ogrid[: array.shape[0], : array.shape[1]]
    outside = (i - 256) ** 2 + (j - 250) ** 2 > 150**2
    array[outside], labels[outside] = -2048, 0


def _emphysema(array: np.ndarray, labels: np.ndarray) -> None:
    array[np.isin(labels, range(10, 15)) & (array < -700)] -= 60


@pytest.mark.samples
@pytest.mark.parametrize("change", [_noisy, _collapsed, _round_view, _emphysema])
def test_lungs_of_the_sample_when_it_is_made_harder(
    sample: SampleGetter, change: Callable[[np.ndarray, np.ndarray], None]
) -> None:
    """Every second slice, to be quick; the parameters were set on the plain scan."""
    scan = read_image(sample("chest-ct", "cxr.nii.gz"))
    array = np.array(scan.array[:, :, ::2])
    labels = np.array(read_image(sample("chest-ct", "mask.nii.gz")).array[:, :, ::2])
    change(array, labels)
    affine = scan.affine_ras.copy()
    affine[:3, 2] *= 2
    found = segment(ct(array, affine), "lungs")["lungs"]
    assert dice(found, np.isin(labels, range(10, 15))) >= 0.975
