"""CT phantoms with a known answer: a chest with trachea and touching lungs, a head, an abdomen with gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.imaging.volume import BoolArray, Volume

SPACING = (2.0, 2.0, 3.0)
SHAPE = (150, 120, 90)


@dataclass(frozen=True)
class Chest:
    """Axes to Right, Anterior, Superior; the left lung is the smaller one."""

    volume: Volume
    left: BoolArray
    right: BoolArray
    trachea: BoolArray


def ct(array: np.ndarray, affine: np.ndarray | None = None) -> Volume:
    grid = np.diag([*SPACING, 1.0]) if affine is None else affine
    return Volume(array, grid, spacing_source="NIfTI header", modality="CT", units="HU")


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> BoolArray:
    """Voxels of the grid inside an ellipsoid; centre and radii in voxels."""
    grids = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return np.asarray(sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii, strict=True)) <= 1)


def cylinder(centre: tuple[float, float], radius: float, k: slice = slice(None)) -> BoolArray:
    tube = np.zeros(SHAPE, bool)
    i, j = np.ogrid[: SHAPE[0], : SHAPE[1]]
    tube[..., k] = (((i - centre[0]) ** 2 + (j - centre[1]) ** 2) <= radius**2)[..., None]
    return tube


def soft_body() -> np.ndarray:
    """int16 HU: room air, a body of 40 HU, a table below its back."""
    array = np.full(SHAPE, -1000, np.int16)
    array[ellipsoid((75, 65, 45), (64, 46, 1e6))] = 40
    array[10:140, 5:9, :] = -100
    return array


def chest(*, touching: bool = False, trachea: bool = True, seed: int = 0) -> Chest:
    """A chest with noise of 20 HU; `touching` lungs meet in a sheet one voxel thick in front of the heart."""
    array = soft_body()
    left = ellipsoid((47, 62, 42), (21, 30, 34))
    right = ellipsoid((102, 62, 43), (24, 32, 36))
    if touching:
        sheet = np.zeros(SHAPE, bool)
        sheet[66:80, 70, 30:55] = True
        left |= sheet & (np.arange(SHAPE[0]) < 73)[:, None, None]
        right |= sheet & (np.arange(SHAPE[0]) >= 73)[:, None, None]
    tube = cylinder((74, 60), 5.0, slice(45, 90)) & ~left & ~right
    array[left | right] = -850
    if trachea:
        array[tube] = -1000
    noise = np.random.default_rng(seed).normal(0, 20, SHAPE).astype(np.int16)
    return Chest(ct(array + noise), left, right, tube)


def head() -> Volume:
    """A skull with brain and air-filled sinuses, no lungs."""
    array = np.full(SHAPE, -1000, np.int16)
    array[ellipsoid((75, 60, 45), (45, 50, 42))] = 900
    array[ellipsoid((75, 60, 45), (42, 47, 39))] = 35
    array[ellipsoid((62, 98, 25), (8, 6, 7))] = -1000
    array[ellipsoid((88, 98, 25), (9, 6, 7))] = -1000
    return ct(array)


def abdomen() -> Volume:
    """A body with 400 ml of bowel gas, no lungs."""
    array = soft_body()
    array[ellipsoid((60, 70, 40), (20, 14, 28))] = -1000
    return ct(array)


def dice(a: BoolArray, b: BoolArray) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
