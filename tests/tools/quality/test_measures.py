"""Measures of quality on phantoms with a known answer, and on the samples and their worse copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.phantoms_ct import chest
from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import read_nifti
from tools.imaging.volume import Volume
from tools.quality.corruptions import SEVERITIES, corrupted, kinds
from tools.quality.measures import measure_quality, noise_sd, slice_jumps
from tools.results import QualityRow


def rows(volume: Volume) -> dict[str, QualityRow]:
    return {row.aspect: row for row in measure_quality(volume)}


@pytest.mark.parametrize("sd", [5.0, 20.0, 60.0])
def test_noise_is_found_beside_edges(sd: float) -> None:
    plane = np.zeros((128, 128), np.float32)
    plane[40:90, 30:100] = 400
    noisy = plane + np.random.default_rng(0).normal(0, sd, plane.shape).astype(np.float32)
    assert noise_sd(noisy, np.ones(plane.shape, bool)) == pytest.approx(sd, rel=0.05)


def test_noise_of_a_ct_is_in_hounsfield_units_and_not_judged() -> None:
    row = rows(chest().volume)["noise"]
    assert row.value == pytest.approx(20, rel=0.08)
    assert (row.unit, row.verdict) == ("HU", "not judged")


def test_blur_grows_with_blurring() -> None:
    volume = chest().volume
    values = [rows(corrupted(volume, "blur, sigma in pixels", s, 0))["blur"].value for s in (1, 3, 5)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1


def test_clipping_is_the_share_at_the_end_of_the_scale() -> None:
    rng = np.random.default_rng(0)
    film = rng.integers(100, 3000, (64, 64, 1)).astype(np.uint16)
    film[:, :32] = np.minimum(film[:, :32] + 3000, 4095)
    row = rows(Volume(film, np.eye(4), None, modality="DX"))["clipping"]
    assert row.verdict == "poor"
    assert row.value > 30


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAL"])
def test_a_slice_that_moved_is_found_by_its_number(codes: str) -> None:
    volume = chest(seed=3).volume
    array = np.array(volume.array)
    array[:, :, 50:] = np.roll(array[:, :, 50:], 14, axis=0)
    moved = to_orientation(volume.with_array(array), codes)
    assert rows(volume)["slice_jumps"].value == 0
    row = rows(moved)["slice_jumps"]
    assert (row.value, row.verdict) == (1, "questionable")
    canonical = np.moveaxis(array.astype(np.float32), 2, 0)
    assert slice_jumps(canonical) == [50]


def test_a_body_that_leaves_the_picture_is_cut_off() -> None:
    volume = chest().volume
    assert rows(volume)["cut_off"].verdict == "ok"
    inner = volume.with_array(volume.array)
    cut = replace(inner, array=inner.array[40:110, 30:100])
    assert rows(cut)["cut_off"].verdict == "poor"


@pytest.mark.parametrize(
    ("array", "error", "said"),
    [
        (np.full((32, 32, 4), np.nan), BadInputError, "not numbers"),
        (np.full((32, 32, 4), 7.0), UnsupportedError, "same value"),
        (np.arange(48.0).reshape(4, 4, 3), UnsupportedError, "16 × 16"),
    ],
)
def test_what_cannot_be_judged_is_refused(array: np.ndarray, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        measure_quality(Volume(array, np.eye(4), "NIfTI header"))


@pytest.mark.parametrize("modality", ["CT", "MR", "DX"])
def test_corruptions_grow_and_keep_type_and_grid(modality: str) -> None:
    volume = replace(chest().volume, modality=modality)
    for kind in kinds(modality):
        worse = [corrupted(volume, kind, s, 0) for s in SEVERITIES]
        apart = [float(np.abs(w.array.astype(float) - volume.array).mean()) for w in worse]
        assert apart == sorted(apart)
        assert apart[0] > 0
        assert all(w.array.dtype == volume.array.dtype and w.same_grid(volume) for w in worse)
    assert np.array_equal(corrupted(volume, kind, 2, 5).array, corrupted(volume, kind, 2, 5).array)


@pytest.mark.samples
def test_the_samples_are_sharp_and_their_blurred_copies_are_not(sample: Callable[[str, str], Path]) -> None:
    ct = replace(read_nifti(sample("chest-ct", "cxr.nii.gz")), modality="CT", units="HU")
    part = replace(ct, array=np.ascontiguousarray(ct.array[:, :, 60:72]))
    sharp, blurred = rows(part)["blur"], rows(corrupted(part, "blur, sigma in pixels", 5, 0))["blur"]
    assert (sharp.verdict, blurred.verdict) == ("ok", "poor")


@pytest.mark.samples
def test_a_template_has_no_jumps(sample: Callable[[str, str], Path]) -> None:
    brain = replace(read_nifti(sample("brain-t1", "t1.nii.gz")), modality="MR")
    assert rows(brain)["slice_jumps"].value == 0


# --- ghosts in MR


def head(air_sd: float = 4.0) -> Volume:
    """An MR of an ellipsoid of 300 in noisy air, 96 × 80 × 12."""
    i, j, k = np.ogrid[:96, :80, :12]
    body = ((i - 48) / 26) ** 2 + ((j - 40) / 20) ** 2 + ((k - 6) / 14) ** 2 <= 1
    rng = np.random.default_rng(5)
    noise = np.hypot(rng.normal(0, air_sd, body.shape), rng.normal(0, air_sd, body.shape))
    return Volume((np.where(body, 300.0, 0) + noise).astype(np.float32), np.eye(4), "NIfTI header", modality="MR")


def haunted(volume: Volume, share: float, axis: int) -> Volume:
    """The same with a copy of the patient, half a field of view away along an axis, of a share of its brightness."""
    ghost = np.roll(volume.array, volume.shape[axis] // 2, axis=axis) * share
    return volume.with_array((volume.array + ghost).astype(np.float32))


def test_without_ghosts_the_air_is_the_same_both_ways() -> None:
    row = rows(head())["ghosting"]
    assert row.value < 0.5
    assert row.verdict == "ok"


@pytest.mark.parametrize(("axis", "said"), [(0, "columns"), (1, "rows")])
def test_a_planted_ghost_is_measured_and_its_axis_named(axis: int, said: str) -> None:
    weak, strong = (rows(haunted(head(), share, axis))["ghosting"] for share in (0.1, 0.4))
    assert said in strong.method
    assert weak.value < strong.value
    assert strong.value / weak.value == pytest.approx(4, rel=0.15)
    assert (weak.verdict, strong.verdict) == ("questionable", "poor")


def test_without_air_or_with_air_cut_away_nothing_is_said_of_ghosts() -> None:
    volume = head()
    cut = volume.with_array(np.where(volume.array > 100, volume.array, 0))
    full = replace(volume, array=volume.array[30:66, 26:54])
    assert "ghosting" not in rows(cut)
    assert "ghosting" not in rows(full)
    assert "ghosting" not in rows(replace(haunted(volume, 0.4, 0), modality="CT"))


@pytest.mark.samples
def test_the_sample_brain_has_no_ghost_and_a_haunted_one_has(sample: Callable[[str, str], Path]) -> None:
    whole = read_nifti(sample("brain-t1", "t1.nii.gz"))
    part = replace(whole, array=np.ascontiguousarray(whole.array[:, :, 80:100]), modality="MR")
    noisy = part.with_array(np.abs(part.array + np.random.default_rng(0).normal(0, 2, part.shape)).astype(np.float32))
    clean, ghost = rows(noisy).get("ghosting"), rows(haunted(noisy, 0.3, 1)).get("ghosting")
    assert clean is not None
    assert clean.verdict == "ok"
    assert ghost is not None
    assert ghost.value > 5 * max(clean.value, 0.2)
