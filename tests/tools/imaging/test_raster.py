import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tools.errors import BadInputError, NotFoundError, UnsupportedError
from tools.imaging.read import describe_geometry, list_series, read_image

GRAY8 = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
GRAY16 = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
RGB = np.random.default_rng(0).integers(0, 255, (3, 4, 3), np.uint8)


def picture(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_eight_bit_gray(tmp_path):
    read = read_image(picture(tmp_path / "x.png", GRAY8))
    np.testing.assert_array_equal(read.array[:, :, 0].T, GRAY8)
    assert (read.shape, read.dims, read.array.dtype) == ((4, 3, 1), 2, np.uint8)


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    read = read_image(picture(tmp_path / "x.png", GRAY16))
    np.testing.assert_array_equal(read.array[:, :, 0].T, GRAY16)
    assert read.array.dtype == np.uint16


def test_a_picture_has_no_millimetres_even_with_a_print_resolution(tmp_path):
    read = read_image(picture(tmp_path / "x.png", GRAY8, dpi=(300, 300)))
    assert read.spacing_source is None
    with pytest.raises(UnsupportedError, match=r"no physical spacing"):
        _ = read.spacing_mm
    assert describe_geometry(read)["orientation"] is None


def test_colour_and_opaque_alpha(tmp_path):
    alpha = np.dstack([RGB, np.full((3, 4), 255, np.uint8)])
    for name, array in (("rgb.png", RGB), ("rgba.png", alpha)):
        read = read_image(picture(tmp_path / name, array))
        assert read.is_colour
        np.testing.assert_array_equal(read.array[:, :, 0].swapaxes(0, 1), RGB)


def test_gray_saved_as_colour_becomes_gray(tmp_path):
    read = read_image(picture(tmp_path / "x.png", np.dstack([GRAY8] * 3)))
    assert not read.is_colour
    np.testing.assert_array_equal(read.array[:, :, 0].T, GRAY8)


def test_gray_with_alpha_palette_and_one_bit(tmp_path):
    Image.merge("LA", [Image.fromarray(GRAY8), Image.new("L", (4, 3), 255)]).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png").array[:, :, 0].T, GRAY8)
    Image.fromarray(RGB).quantize(12).save(tmp_path / "p.png")
    expected = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "p.png").array[:, :, 0].swapaxes(0, 1), expected)
    Image.fromarray(GRAY8 > 100).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_image(tmp_path / "1.png").array[:, :, 0].T, GRAY8 > 100)


def test_transparency_is_refused(tmp_path):
    alpha = np.dstack([RGB, np.full((3, 4), 128, np.uint8)])
    with pytest.raises(UnsupportedError, match=r"partly transparent"):
        read_image(picture(tmp_path / "x.png", alpha))


def test_jpeg_gray_and_colour(tmp_path):
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    read = read_image(picture(tmp_path / "gray.jpg", smooth, quality=95))
    assert read.shape == (64, 48, 1)
    assert np.abs(read.array[:, :, 0].T.astype(int) - smooth).max() <= 3
    colour = np.dstack([smooth, smooth[:, ::-1], np.full_like(smooth, 30)])
    assert read_image(picture(tmp_path / "colour.jpeg", colour, quality=95)).is_colour


def test_a_picture_to_be_turned_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(UnsupportedError, match=r"EXIF Orientation 6"):
        read_image(picture(tmp_path / "x.jpg", np.zeros((8, 8), np.uint8), exif=exif))


def test_cmyk_is_refused(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(UnsupportedError, match=r"pixel type 'CMYK'"):
        read_image(tmp_path / "x.jpg")


def test_sixteen_bit_colour_is_refused_not_cut_to_eight(tmp_path):
    rows = b"".join(b"\0" + struct.pack(">12H", *range(0, 12000, 1000)) for _ in range(3))
    (tmp_path / "x.png").write_bytes(png(4, 3, depth=16, colour=2, data=zlib.compress(rows)))
    with pytest.raises(UnsupportedError, match=r"16-bit colour"):
        read_image(tmp_path / "x.png")


def png(width, height, *, depth=8, colour=0, data=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [11_000, 14_000, 60_000])
def test_a_decompression_bomb_is_refused_in_one_line(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, data=zlib.compress(b"\0" * 1000)))
    with pytest.raises(UnsupportedError, match=r"'bomb.png'.*scale it down") as refusal:
        read_image(tmp_path / "bomb.png")
    assert "\n" not in str(refusal.value)


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(GRAY8), Image.fromarray(GRAY8[::-1].copy())]
    frames[0].save(tmp_path / "x.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedError, match=r"animated"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_damaged_picture_is_refused(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    content = picture(tmp_path / f"whole.{suffix}", noise).read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInputError, match=r"damaged") as refusal:
        read_image(tmp_path / f"cut.{suffix}")
    assert "\n" not in str(refusal.value)


def test_a_picture_is_one_series(tmp_path):
    path = picture(tmp_path / "x.png", GRAY8)
    assert [info.number for info in list_series(path)] == [1]
    with pytest.raises(NotFoundError, match=r"is one picture"):
        read_image(path, series="2")
