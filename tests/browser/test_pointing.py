"""From a click or a box in the viewer to the outline of a real model: a tiny SAM that the test makes itself."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.browser.conftest import CHROMIUM, free_port
from tests.browser.test_viewer import FLAGS, SLOW_MS, _attach, _drag, _open, _pixels, _shot
from tests.reading_server import reading_server
from tests.tools.models.runtimes.tiny_models import film, straight_from_sam, tiny_sam

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CARD = """name = "tiny-sam"
title = "Tiny SAM"
verb = "segment"
runtime = "sam"
version = "1"
prompts = ["points", "box"]
seconds = 1
licence = "own"
source = "made by the test"

[options]
min_quality = 0.0

[weights]
file = "tiny-sam"
get = "the test makes it"
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A server with the model, its readings and a film."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pointing")
    sam = tiny_sam(folder / "weights" / "tiny-sam")
    (sam / "card.toml").write_text(CARD, encoding="utf-8")
    pixels = np.repeat(np.repeat(film().array[:, :, 0].T, 6, axis=0), 6, axis=1)
    Image.fromarray(pixels).save(folder / "film.png")
    with reading_server(folder, free_port()) as address:
        yield SimpleNamespace(address=address, folder=folder, sam=sam, pixels=pixels)


@pytest.fixture
def page(driver, house):
    assert CHROMIUM
    found = _open(driver, house.address, FLAGS)
    _attach(found, house.folder / "film.png")
    yield found
    assert found.problems == []
    found.context.browser.close()


def _run(page, request):
    """Ask and wait for the outline; what a person pointed at is planned by the person and needs no approval."""
    page.fill("#rr-request textarea", request)
    page.click("#rr-ask")
    page.wait_for_selector(".rv-chips", state="hidden")  # sent: they do not go with the next request too
    page.wait_for_selector("li[data-region^='s1/']", timeout=SLOW_MS)
    page.wait_for_selector("#rr-ask:visible", timeout=SLOW_MS)


def _made(house, page):
    """Return the mask on disk, axes (x, y), and the prompt that the record says the tool was called with."""
    from tools.imaging.nifti import read_nifti

    root = house.folder / "readings" / page.url.split("reading=")[1]
    events = [json.loads(line) for line in (root / "record.jsonl").read_text(encoding="utf-8").splitlines()]
    args = next(e["args"] for e in events if e["event"] == "step started")
    artifact = json.loads((root / "artifacts" / "s1" / "artifact.json").read_text(encoding="utf-8"))
    mask = read_nifti(root / "artifacts" / "s1" / artifact["data"]["masks"][0]["file"]).array[:, :, 0] > 0
    return mask, args["prompt"], artifact


def _lies_where_the_mask_is(page, mask):
    """Hide and show the overlay: the picture changes towards its colour where the mask is, and only there."""
    shown = _pixels(page)
    page.uncheck("li[data-region^='s1/'] input")
    hidden = _pixels(page)
    changed = np.abs(shown - hidden).sum(2) > 20
    height, width = changed.shape
    at = "xy => xy.map(([x, y]) => window.readingroom.viewer.pane.pane.toScreen([x, y]))"
    for inside in (True, False):
        xy = np.argwhere(mask == inside)
        xy = xy[np.random.default_rng(1).permutation(len(xy))[:400]]
        columns, rows = np.rint(np.array(page.evaluate(at, xy.tolist()))).astype(int).T
        seen = changed[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        assert seen.mean() > 0.9 if inside else seen.mean() < 0.1
    page.check("li[data-region^='s1/'] input")


def test_a_click_becomes_the_prompt_of_a_model_and_its_outline_an_overlay(house, page):
    page.click('#rr-stage button:text-is("Point")')
    canvas = page.locator(".rv-pane canvas").first.bounding_box()
    page.mouse.click(canvas["x"] + canvas["width"] * 0.45, canvas["y"] + canvas["height"] * 0.4)
    chip = page.inner_text(".rv-chips")
    x, y = (int(n) for n in page.get_attribute("#rr-stage", "data-voxel").split(",")[:2])
    assert f"point 1: new1 voxel {x}, {y}, 0" in chip
    _shot(page, "pointed")
    _run(page, "Segment what I clicked.")
    mask, prompt, artifact = _made(house, page)
    assert (prompt["points"], prompt["box"], prompt["frame"]) == ([[x, y, 0]], [], "voxel")
    assert artifact["provenance"]["model"]["card"] == "tiny-sam"
    rgb = np.repeat(house.pixels[..., None], 3, axis=2)
    expected = straight_from_sam(house.sam, rgb, input_points=[[[x, y]]], input_labels=[[1]], many=True)
    assert 0 < expected.sum() < expected.size
    assert (mask == expected).mean() > 0.99
    _shot(page, "outlined-from-a-click")
    _lies_where_the_mask_is(page, mask)


def test_a_box_in_the_viewer_becomes_the_prompt_of_a_model(house, page):
    page.focus(".rv-panes")
    page.keyboard.press("b")
    to_image = "xy => window.readingroom.viewer.pane.pane.toImage(xy)"
    canvas = page.locator(".rv-pane canvas").first.bounding_box()
    corners = [
        page.evaluate(to_image, [canvas["width"] * a, canvas["height"] * b]) for a, b in ((0.42, 0.3), (0.58, 0.7))
    ]
    _drag(page, (0.42, 0.3), (0.58, 0.7))
    _run(page, "Outline the nodule I marked.")
    mask, prompt, artifact = _made(house, page)
    assert np.abs(np.array(prompt["box"])[:, :2] - np.array(corners)).max() <= 1
    assert artifact["data"]["masks"][0]["target"] == "lung_nodule"
    (x0, y0, _), (x1, y1, _) = prompt["box"]
    rgb = np.repeat(house.pixels[..., None], 3, axis=2)
    assert (mask == straight_from_sam(house.sam, rgb, input_boxes=[[[x0, y0, x1, y1]]])).mean() > 0.99
    assert page.inner_text("li[data-region^='s1/'] button") == "lung nodule"
