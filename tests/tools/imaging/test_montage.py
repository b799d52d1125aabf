from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.phantoms import oblique_affine
from tools.errors import BadInputError
from tools.imaging.montage import montage, png
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume


def test_a_film_is_shown_whole_and_upright() -> None:
    array = np.zeros((60, 40, 1), np.uint8)
    array[50:, :5] = 200  # right, top
    picture, said = montage(Volume(array, PICTURE_AFFINE, header=ORIENTATION_UNKNOWN))
    assert picture.size == (60, 40)
    assert picture.getpixel((55, 2)) == (200, 200, 200)
    assert picture.getpixel((5, 35)) == (0, 0, 0)
    assert said == "the whole image, from its darkest to its brightest values"


def test_bytes_are_a_png() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    data = png(montage(Volume(array, PICTURE_AFFINE)).picture)
    with Image.open(io.BytesIO(data), formats=["PNG"]) as read:
        read.load()
        assert read.size == (3, 4)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL"])
def test_the_patients_right_lies_on_the_left_of_each_slice(codes: str) -> None:
    """A bright block to the right, front and head of the patient comes out left, top and last."""
    from tools.imaging.geometry import to_orientation

    array = np.zeros((30, 30, 18), np.int16)
    array[2:10, 2:10, 12:] = 100  # with axes near L, P, S: right, anterior, superior
    volume = Volume(array, oblique_affine(spacing=(1, 1, 2)), spacing_source="NIfTI header", modality="MR")
    picture, said = montage(to_orientation(volume, codes))
    assert said == "9 of 18 axial slices from feet to head, from its darkest to its brightest values"
    gray = np.asarray(picture.convert("L"), dtype=float)
    tile = gray.shape[0] // 3
    last, first = gray[2 * tile :, 2 * tile :], gray[:tile, :tile]
    assert last[tile // 12 : tile // 3, tile // 12 : tile // 3].mean() > 200
    assert last[tile // 2 :, tile // 2 :].mean() < 20
    assert first[tile // 4 :, tile // 4 :].mean() < 20


def test_hounsfield_units_are_windowed() -> None:
    array = np.full((8, 8, 1), -1000, np.int16)
    array[4:] = 50
    picture, said = montage(Volume(array, PICTURE_AFFINE, units="HU", modality="CT"))
    assert "in the soft tissue window" in said
    assert picture.getpixel((6, 2)) == (128, 128, 128)


def test_blank_and_no_numbers_are_refused() -> None:
    with pytest.raises(BadInputError, match="blank: every voxel has the value 4"):
        montage(Volume(np.full((5, 5, 5), 4, np.int16), np.eye(4)))
    with pytest.raises(BadInputError, match="no numbers"):
        montage(Volume(np.full((5, 5, 1), np.inf, np.float32), np.eye(4)))
