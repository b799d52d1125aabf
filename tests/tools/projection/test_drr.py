"""Projections of phantoms whose chords are known, and the geometry of the views."""

from __future__ import annotations

import numpy as np
import pytest

from tests.phantoms import oblique_affine
from tools.imaging.geometry import to_orientation, voxel_to_world, world_to_voxel
from tools.imaging.volume import Volume
from tools.projection.attenuation import WATER_PER_MM, attenuation_per_mm
from tools.projection.drr import project
from tools.projection.geometry import (
    SOURCE_TO_DETECTOR_MM,
    SOURCE_TO_ISOCENTRE_MM,
    VIEWS,
    Angles,
    Beam,
    Detector,
    beam,
    detector_for,
    isocentre_of,
)

MU = 0.02


def grid(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """World points of all voxel centres."""
    volume = Volume(np.zeros(shape, np.int16), affine)
    return voxel_to_world(volume, np.moveaxis(np.indices(shape).astype(float), 0, -1))


def ends(one: Beam) -> np.ndarray:
    rows, columns = np.indices(one.size).astype(float)
    return one.corner + columns[..., None] * one.column_step + rows[..., None] * one.row_step


def chords(one: Beam, centre: np.ndarray, radius_mm: float) -> np.ndarray:
    """Length of each ray inside a ball."""
    way = ends(one) - one.source
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    away = centre - one.source
    closest = away - (way @ away)[..., None] * way
    return 2 * np.sqrt(np.maximum(radius_mm**2 - (closest**2).sum(-1), 0))


def slab(one: Beam, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Length of each ray inside a box along the world's axes."""
    way = ends(one) - one.source
    length = np.linalg.norm(way, axis=-1)
    near, far = (low - one.source) / way, (high - one.source) / way
    inside = np.minimum(near, far).max(-1), np.maximum(near, far).min(-1)
    return np.maximum(inside[1] - inside[0], 0) * length


@pytest.mark.parametrize("angles", [Angles(0, 0), Angles(-90, 0), Angles(180, 0), Angles(33, 12)])
def test_a_box_gives_its_chords(angles: Angles) -> None:
    affine = np.diag([2.0, 2.5, 3.0, 1])
    affine[:3, 3] = (-60, 40, 10)
    volume = Volume(np.full((50, 40, 30), MU, np.float32), affine, spacing_source="NIfTI header")
    low = (affine @ [-0.5, -0.5, -0.5, 1])[:3]
    high = (affine @ [49.5, 39.5, 29.5, 1])[:3]
    one = beam(isocentre_of(volume), angles, detector_for(volume, 40))
    (found,) = project(volume.array, affine, [one])
    assert np.allclose(found, MU * slab(one, low, high), rtol=1e-4, atol=1e-5)
    assert found.max() > 0.9 * MU * 90


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRP", "oblique"])
def test_a_ball_gives_its_chords_in_every_orientation(codes: str) -> None:
    shape = (64, 60, 56)
    affine = oblique_affine((2, 2, 2.5)) if codes == "oblique" else np.diag([2, 2, 2.5, 1.0])
    base = Volume(np.zeros(shape, np.float32), affine, spacing_source="NIfTI header")
    centre, radius = isocentre_of(base) + np.array([9, -6, 12]), 38.0
    soft = np.clip((radius - np.linalg.norm(grid(shape, affine) - centre, axis=-1)) / 2.5 + 0.5, 0, 1)
    volume = base.with_array((MU * soft).astype(np.float32))
    if codes not in ("RAS", "oblique"):
        volume = to_orientation(volume, codes)
    one = beam(isocentre_of(base), Angles(25, 5), Detector(48, 52, 4.0))
    (found,) = project(volume.array, volume.affine_ras, [one])
    exact = MU * chords(one, centre, radius)
    inner = exact > 0.6 * exact.max()
    assert np.abs(found - exact)[inner].max() < 0.02 * exact.max()
    assert found.sum() == pytest.approx(exact.sum(), rel=0.005)


def test_the_source_stands_where_the_view_says() -> None:
    middle = np.array([10.0, -20, 300])
    detector = Detector(10, 10, 1.0)
    toward = {
        name: (beam(middle, angles, detector).source - middle) / SOURCE_TO_ISOCENTRE_MM
        for name, angles in VIEWS.items()
    }
    assert np.allclose(toward["frontal"], (0, -1, 0))  # behind: PA
    assert np.allclose(toward["ap"], (0, 1, 0))
    assert np.allclose(toward["lateral"], (1, 0, 0))  # at the right; the left side lies on the detector
    one = beam(middle, Angles(40, 20), detector)
    assert np.linalg.norm(ends(one).mean(axis=(0, 1)) - one.source) == pytest.approx(SOURCE_TO_DETECTOR_MM)
    assert np.allclose(
        np.cross(one.column_step, one.row_step) @ (one.source - middle) / SOURCE_TO_ISOCENTRE_MM, 1, 1e-9
    )


@pytest.mark.parametrize("view", ["frontal", "ap"])
def test_right_is_on_the_left_and_the_head_on_top(view: str) -> None:
    volume = Volume(np.zeros((40, 40, 40), np.float32), np.diag([3.0, 3, 3, 1]), spacing_source="NIfTI header")
    marked = np.zeros(volume.shape, np.float32)
    marked[35, 20, 36] = 1  # at the patient's right, near the head
    one = beam(isocentre_of(volume), VIEWS[view], detector_for(volume, 60))
    (found,) = project(marked, volume.affine_ras, [one])
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert column < found.shape[1] * 0.4
    assert row < found.shape[0] * 0.4


def test_a_lateral_shows_the_front_on_the_left() -> None:
    volume = Volume(np.zeros((40, 40, 40), np.float32), np.diag([3.0, 3, 3, 1]), spacing_source="NIfTI header")
    marked = np.zeros(volume.shape, np.float32)
    marked[20, 36, 20] = 1
    one = beam(isocentre_of(volume), VIEWS["lateral"], detector_for(volume, 60))
    (found,) = project(marked, volume.affine_ras, [one])
    assert np.unravel_index(found.argmax(), found.shape)[1] < found.shape[1] * 0.4


def test_the_whole_volume_falls_on_the_detector_from_any_side() -> None:
    affine = oblique_affine((1, 1.2, 3))
    volume = Volume(np.full((50, 70, 40), MU, np.float32), affine, spacing_source="NIfTI header")
    for turn in range(0, 360, 45):
        one = beam(isocentre_of(volume), Angles(turn, 0), detector_for(volume, 50))
        (found,) = project(volume.array, affine, [one])
        rim = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
        assert rim.max() < 0.35 * found.max()
        assert (found > 0).any()


def test_hounsfield_units_become_attenuation() -> None:
    found = attenuation_per_mm(np.array([-2048, -1000, 0, 1000], np.int16))
    assert np.allclose(found, [0, 0, WATER_PER_MM, 2 * WATER_PER_MM])


def test_magnification_is_that_of_a_point_source() -> None:
    volume = Volume(np.zeros((41, 41, 41), np.float32), np.diag([4.0, 4, 4, 1]), spacing_source="NIfTI header")
    one = beam(isocentre_of(volume), VIEWS["frontal"], Detector(200, 200, 1.0))
    marked = np.zeros(volume.shape, np.float32)
    marked[12, 20, 20] = marked[28, 20, 20] = 1  # 64 mm apart in the isocentre's plane
    (found,) = project(marked, volume.affine_ras, [one])
    line = found.sum(axis=0)
    left, right = line[:100].argmax(), 100 + line[100:].argmax()
    assert right - left == pytest.approx(64 * SOURCE_TO_DETECTOR_MM / SOURCE_TO_ISOCENTRE_MM, abs=4)
    assert np.allclose(world_to_voxel(volume, isocentre_of(volume)), 20)
