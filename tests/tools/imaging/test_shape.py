from __future__ import annotations

import numpy as np
import pytest

from tools.imaging.shape import largest_component, slice_diameters, surface_area_mm2

SPACING = (0.8, 1.1, 2.0)


def ellipsoid(shape: tuple[int, int, int], centre_mm: tuple[float, ...], radii_mm: tuple[float, ...]) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    return np.asarray(
        sum(((g * s - c) / r) ** 2 for g, s, c, r in zip(grids, SPACING, centre_mm, radii_mm, strict=True)) <= 1
    )


def affine() -> np.ndarray:
    return np.diag([*SPACING, 1.0])


def rotated() -> np.ndarray:
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    result = affine()
    result[:3, :3] = turn @ result[:3, :3]
    return result


@pytest.mark.parametrize("grid", [affine(), rotated(), affine()[[1, 0, 2, 3]], np.diag([-1.0, -1, 1, 1]) @ affine()])
def test_diameters_of_an_ellipsoid(grid: np.ndarray) -> None:
    mask = ellipsoid((100, 90, 40), (40, 50, 40), (32, 20, 25))
    found = slice_diameters(mask, grid)
    assert found.longest_mm == pytest.approx(64, abs=1.2)
    assert found.perpendicular_mm == pytest.approx(40, abs=1.2)
    assert found.slice_index in (19, 20, 21)
    for ends, length_mm in ((found.longest, found.longest_mm), (found.perpendicular, found.perpendicular_mm)):
        assert np.linalg.norm((np.subtract(*ends)) @ grid[:3, :3].T) == pytest.approx(length_mm, abs=0.01)
        assert {end[2] for end in ends} == {float(found.slice_index)}
    one, other = (np.subtract(*ends) @ grid[:3, :3].T for ends in (found.longest, found.perpendicular))
    assert abs(one @ other) < 0.01 * 64 * 40  # square to each other
    middle = np.array([40 / 0.8, 50 / 1.1])
    assert np.abs(np.mean(found.longest, axis=0)[:2] - middle).max() < 1.5
    assert np.abs(np.mean(found.perpendicular, axis=0)[:2] - middle).max() < 1.5


def test_diameter_of_one_voxel_is_its_edge() -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[2, 2, 2] = True
    assert slice_diameters(mask, affine()).longest_mm == pytest.approx(1.1)


def test_diameter_of_a_row_is_from_edge_to_edge() -> None:
    mask = np.zeros((20, 5, 1), bool)
    mask[3:13, 2, 0] = True
    found = slice_diameters(mask, affine())
    assert found.longest_mm == pytest.approx(10 * 0.8)
    assert found.perpendicular_mm == pytest.approx(1.1)
    assert {end[0] for end in found.longest} == {2.5, 12.5}
    assert {end[1] for end in found.perpendicular} == {1.5, 2.5}


def test_sagittal_files_are_measured_in_axial_slices() -> None:
    mask = ellipsoid((100, 90, 40), (40, 50, 40), (32, 20, 38))
    turned = mask.transpose(2, 0, 1)
    grid = affine()[:, [2, 0, 1, 3]]
    straight, found = slice_diameters(mask, affine()), slice_diameters(turned, grid)
    assert found.longest_mm == pytest.approx(straight.longest_mm)
    length_mm = np.linalg.norm(np.subtract(*found.longest) @ grid[:3, :3].T)
    assert length_mm == pytest.approx(straight.longest_mm, abs=0.01)
    assert {end[found.across] for end in found.longest} == {float(found.slice_index)}


@pytest.mark.parametrize("radius_mm", [12.0, 20.0, 30.0])
def test_surface_of_a_sphere_is_within_one_and_a_half_percent(radius_mm: float) -> None:
    mask = ellipsoid((100, 80, 45), (40, 42, 42), (radius_mm,) * 3)
    assert surface_area_mm2(mask, affine()) == pytest.approx(4 * np.pi * radius_mm**2, rel=0.015)


def test_surface_of_a_small_sphere_is_within_five_percent() -> None:
    mask = ellipsoid((30, 30, 20), (12, 16, 20), (6.0,) * 3)
    assert surface_area_mm2(mask, affine()) == pytest.approx(4 * np.pi * 36, rel=0.05)


def test_a_sheet_is_not_smoothed_away() -> None:
    mask = np.zeros((40, 40, 10), bool)
    mask[5:35, 5:35, 5] = True
    assert surface_area_mm2(mask, affine()) == pytest.approx(2 * 24 * 33 + 2 * (24 + 33) * 2, rel=0.05)


def test_a_cube_that_fills_the_image_has_a_closed_surface() -> None:
    assert surface_area_mm2(np.ones((20, 20, 20), bool), np.eye(4)) == pytest.approx(6 * 400, rel=0.02)


def test_largest_component() -> None:
    mask = np.zeros((10, 10, 10), bool)
    mask[1:3, 1:3, 1:3] = True
    mask[5:9, 5:9, 5:9] = True
    largest, count = largest_component(mask)
    assert count == 2
    assert np.count_nonzero(largest) == 64
