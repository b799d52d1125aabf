from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.phantoms_ct import chest
from tools.imaging.render import PALETTE, overlay_png
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.all(np.abs(pixels.astype(int) - np.array(colour)) < 6, axis=2)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_each_mask_is_outlined_in_its_colour_on_its_side(tmp_path: Path) -> None:
    phantom = chest()
    said = overlay_png(
        phantom.volume, {"lung_left": phantom.left, "lung_right": phantom.right}, tmp_path / "key.png", title="img1"
    )
    assert said.startswith("lung_left, lung_right on axial, slice ")
    pixels = read(tmp_path / "key.png")
    axial = pixels[: pixels.shape[0] - 80, : pixels.shape[1] // 2]
    left, right = (np.flatnonzero(near(axial, PALETTE[n]).any(axis=0)) for n in (0, 1))
    assert left.size > 50
    assert right.size > 50
    assert right.mean() < left.mean()


def test_unequal_voxels_are_drawn_with_square_millimetres(tmp_path: Path) -> None:
    array = np.zeros((100, 100, 20), np.float32)
    i, j, k = np.ogrid[:100, :100, :20]
    ball = (i - 50) ** 2 + (j - 50) ** 2 + (5 * (k - 10)) ** 2 <= 40**2
    array[ball] = 100
    volume = Volume(array, np.diag([1.0, 1.0, 5.0, 1.0]), spacing_source="NIfTI header")
    overlay_png(volume, {"ball": ball}, tmp_path / "key.png")
    pixels = read(tmp_path / "key.png")
    body = pixels[: pixels.shape[0] - 70]
    for half in np.split(body[:, : body.shape[1] // 2 * 2], 2, axis=1):
        rim = np.argwhere(near(half, PALETTE[0]))
        height, width = np.ptp(rim, axis=0)
        assert height == pytest.approx(width, rel=0.06)


def test_no_spacing_no_scale_bar(tmp_path: Path) -> None:
    array = np.full((64, 48, 1), 128, np.uint8)
    plain = Volume(array, np.eye(4), header=ORIENTATION_UNKNOWN)
    scaled = Volume(array, np.eye(4), spacing_source="PixelSpacing", header=ORIENTATION_UNKNOWN)
    overlay_png(plain, {}, tmp_path / "plain.png")
    overlay_png(scaled, {}, tmp_path / "scaled.png")
    without, with_bar = read(tmp_path / "plain.png"), read(tmp_path / "scaled.png")
    assert without.shape == with_bar.shape
    changed = np.argwhere(np.any(without != with_bar, axis=2))
    assert changed.size
    assert changed[:, 0].min() > 0.8 * 480


def test_many_names_are_cut_and_counted(tmp_path: Path) -> None:
    phantom = chest()
    masks = {f"rib_left_{n}": phantom.left for n in range(1, 20)}
    overlay_png(phantom.volume, masks, tmp_path / "key.png")
    assert read(tmp_path / "key.png").shape[1] > 400


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have the shape"):
        overlay_png(chest().volume, {"x": np.zeros((2, 2, 2), bool)}, tmp_path / "key.png")
