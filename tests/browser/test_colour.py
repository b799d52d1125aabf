"""Colour pictures in the real browser: a photograph, and ultrasound as RGB and YBR DICOM, in their true colours."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.test_viewer import FLAGS, _attach, _drag, _open, _pixels, _shot
from tests.page_server import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATCHES = {(30, 30): (200, 40, 40), (130, 30): (40, 180, 60), (30, 110): (50, 70, 210), (130, 110): (240, 200, 150)}


def _picture():
    pixels = np.full((150, 200, 3), (120, 90, 80), np.uint8)
    for (x, y), colour in PATCHES.items():
        pixels[y - 15 : y + 15, x - 20 : x + 20] = colour
    return pixels


def _photo(path):
    from PIL import Image

    Image.fromarray(_picture()).save(path)


def _ultrasound(path, space):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.pixels import convert_color_space
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = UltrasoundImageStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = generate_uid(), generate_uid(), "US"
    made.Rows, made.Columns, made.SamplesPerPixel, made.PlanarConfiguration = 150, 200, 3, 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    pixels = _picture() if space == "RGB" else convert_color_space(_picture(), "RGB", space)
    made.PhotometricInterpretation, made.PixelData = space, pixels.tobytes()
    made.save_as(path)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("colour")) as found:
        yield found


@pytest.fixture(scope="module")
def page(driver, address):
    found = _open(driver, address, FLAGS)
    yield found
    assert found.problems == []
    found.context.browser.close()


@pytest.mark.parametrize("kind", ["photo", "RGB", "YBR_FULL"])
def test_a_colour_picture_keeps_its_colours_and_has_no_windows(page, address, tmp_path, kind):
    page.goto(address)
    page.wait_for_function("window.readingroom?.viewer")
    path = tmp_path / ("skin.png" if kind == "photo" else "us.dcm")
    if kind == "photo":
        _photo(path)
    else:
        _ultrasound(path, kind)
    _attach(page, path)
    seen = _pixels(page)
    to_screen = "xy => xy.map(at => window.readingroom.viewer.pane.pane.toScreen(at))"
    places = np.rint(np.array(page.evaluate(to_screen, [list(at) for at in PATCHES]))).astype(int)
    for (x, y), colour in zip(places, PATCHES.values(), strict=True):
        assert np.abs(seen[y, x] - colour).max() <= 2  # YBR is rounded
    assert page.locator('#rr-stage [role="radiogroup"][aria-label="Window"]').is_hidden()
    window = page.locator('#rr-stage button:text-is("Window")')
    assert window.get_attribute("title") == "A colour image has no window"
    assert "red, green, blue 120, 90, 80" in page.inner_text(".rv-status")
    page.focus(".rv-panes")
    page.keyboard.press("+")
    assert page.evaluate("window.readingroom.viewer.pane.pane.scale") == pytest.approx(1.2)
    page.keyboard.press("r")
    page.keyboard.press("b")
    _drag(page, (0.4, 0.3), (0.6, 0.7))
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    assert "box 1: new1 voxel" in page.inner_text(".rv-chips")
    page.keyboard.press("c")
    _shot(page, f"colour-{kind.lower()}")
