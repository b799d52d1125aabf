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
