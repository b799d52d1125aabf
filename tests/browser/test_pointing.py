"""From a click or a box in the viewer to the outline of a real model: on a film a tiny SAM that the test makes itself,
on a CT region growing, which a plugin package of the test brings."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.browser.conftest import CHROMIUM, free_port
from tests.browser.test_viewer import FLAGS, SLOW_MS, _attach, _drag, _open, _pixels, _shot
from tests.reading_server import reading_server
from tests.tools.models.runtimes.tiny_models import film, straight_from_sam, tiny_sam
from tools.models.installed import RUNTIME_GROUP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CARD = """name = "tiny-sam"
title = "Tiny SAM"
verb = "segment"
runtime = "sam"
version = "1"
prompts = ["points", "box"]
dims = [2]
seconds = 1
licence = "own"
source = "made by the test"

[options]
min_quality = 0.0

[weights]
file = "tiny-sam"
get = "the test makes it"
"""

GROW_CARD = """name = "grow"
title = "Region growing"
verb = "segment"
runtime = "grow"
version = "1"
prompts = ["points"]
modality = ["CT"]
dims = [3]
seconds = 1
licence = "own"
source = "made by the test"
"""
GROW = """import numpy as np
from scipy import ndimage


class Grow:
    def segment_prompted(self, volume, prompt, progress):
        seed = tuple(int(round(n)) for n in prompt.points[0])
        parts, _ = ndimage.label(np.abs(volume.array - float(volume.array[seed])) < 150)
        return parts == parts[seed]


def load(loading):
    return Grow()
"""

SHAPE = (56, 20, 64)  # along i to the back, j to the head, k to the right, all turned by 12 degrees
STEPS_MM = (2.0, 4.0, 1.5)
LESION, SEMI_AXES = np.array([17, 13, 18]), np.array([4.0, 2.2, 5.0])
LESION_HU = 700


def oblique_ct(path):
    """Write a body with a lesion at the patient's left, in front, above the middle, and one at each mirrored place.

    Return the mask of the first: what a flipped or swapped axis would outline is another one.
    """
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    cosine, sine = np.cos(np.radians(12)), np.sin(np.radians(12))
    turned = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]) @ np.diag(STEPS_MM)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    grid = np.moveaxis(np.indices(SHAPE), 0, -1)
    middle = (np.array(SHAPE) - 1) / 2
    body = np.square((grid - middle)[..., [0, 2]] / np.array([26, 30])).sum(-1) < 1
    array = np.where(body, np.random.default_rng(0).integers(20, 60, SHAPE), -1000).astype(np.int16)
    for flips in np.ndindex(2, 2, 2):
        place = np.where(flips, np.array(SHAPE) - 1 - LESION, LESION)
        array[np.square((grid - place) / SEMI_AXES).sum(-1) < 1] = LESION_HU
    volume = Volume(array, affine, spacing_source="NIfTI header", modality="CT", units="HU")
    write_nifti(path, array, volume)
    return np.square((grid - LESION) / SEMI_AXES).sum(-1) < 1


def add_region_growing(folder):
    """Make a package that brings a runtime and its model, and return the folder for PYTHONPATH."""
    info = folder / "plugin" / "grow-1.dist-info"
    info.mkdir(parents=True)
    (folder / "plugin" / "grow.py").write_text(GROW, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grow\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{RUNTIME_GROUP}]\ngrow = grow:load\n", encoding="utf-8")
    (folder / "weights" / "grow").mkdir(parents=True)
    (folder / "weights" / "grow" / "card.toml").write_text(GROW_CARD, encoding="utf-8")
    return info.parent


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A server with the model, its readings and a film."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pointing")
    sam = tiny_sam(folder / "weights" / "tiny-sam")
    (sam / "card.toml").write_text(CARD, encoding="utf-8")
    pixels = np.repeat(np.repeat(film().array[:, :, 0].T, 6, axis=0), 6, axis=1)
    Image.fromarray(pixels).save(folder / "film.png")
    plugin = add_region_growing(folder)
    with reading_server(folder, free_port(), {"PYTHONPATH": str(plugin)}) as address:
        yield SimpleNamespace(address=address, folder=folder, sam=sam, pixels=pixels)


@pytest.fixture
def opened(driver, house):
    assert CHROMIUM
    found = _open(driver, house.address, FLAGS)
    yield found
    assert found.problems == []
    found.context.browser.close()


@pytest.fixture
def page(opened, house):
    _attach(opened, house.folder / "film.png")
    return opened


def _run(page, request):
    """Ask and wait for the outline; what a person pointed at is planned by the person and needs no approval."""
    page.fill("#rr-request textarea", request)
    page.click("#rr-ask")
    page.wait_for_selector(".rv-chips", state="hidden")  # sent: they do not go with the next request too
    page.wait_for_selector("li[data-region^='s1/']", timeout=SLOW_MS)
    page.wait_for_selector("#rr-ask:visible", timeout=SLOW_MS)


def _made(house, page):
    """Return the mask on disk, axes (i, j, k), and the prompt that the record says the tool was called with."""
    from tools.imaging.nifti import read_nifti

    root = house.folder / "readings" / page.url.split("reading=")[1]
    events = [json.loads(line) for line in (root / "record.jsonl").read_text(encoding="utf-8").splitlines()]
    args = next(e["args"] for e in events if e["event"] == "step started")
    artifact = json.loads((root / "artifacts" / "s1" / "artifact.json").read_text(encoding="utf-8"))
    mask = read_nifti(root / "artifacts" / "s1" / artifact["data"]["masks"][0]["file"]).array > 0
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
    mask = mask[:, :, 0]
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
    assert (mask[:, :, 0] == straight_from_sam(house.sam, rgb, input_boxes=[[[x0, y0, x1, y1]]])).mean() > 0.99
    assert page.inner_text("li[data-region^='s1/'] button") == "lung nodule"


def _boxed(page, lesion, middle, half):
    """Draw a box around the lesion, half as wide to each side, see that it holds it in the plane, and remove it."""
    page.click('#rr-stage button:text-is("Box")')
    y, x = middle
    _drag(page, (x - half, y - 2 * half), (x + half, y + 2 * half))
    said = re.search(r"voxel ([\d, ]+) to ([\d, ]+)", page.inner_text(".rv-chips"))
    lower, upper = (np.array([int(n) for n in said[part].split(",")]) for part in (1, 2))
    places = np.argwhere(lesion)
    assert (lower[[0, 2]] <= places.min(0)[[0, 2]]).all()
    assert (upper[[0, 2]] >= places.max(0)[[0, 2]]).all()
    assert (upper - lower)[[0, 2]].max() < 30
    assert lower[1] == upper[1] == LESION[1]
    page.click(".rv-chips button")


def test_a_click_in_a_plane_of_an_oblique_ct_outlines_what_lies_there(house, opened, tmp_path):
    page = opened
    lesion = oblique_ct(tmp_path / "ct.nii.gz")
    _attach(page, tmp_path / "ct.nii.gz")
    page.click('#rr-stage button:text-is("Axial")')
    page.evaluate("j => window.readingroom.viewer.pane.goVoxel([27, j, 31])", int(LESION[1]))
    assert page.get_attribute("#rr-stage", "data-voxel") == f"27,{LESION[1]},31"
    bright = _pixels(page).min(2) > 200
    height, width = bright.shape
    bright[height // 2 - 20 :] = bright[:, : width // 2 + 20] = False  # patient's left is at the right, the front above
    bright[:, width - 100 :] = False  # where the page begins
    assert bright.sum() > 100
    at = np.argwhere(bright).mean(0)
    _boxed(page, lesion, at / (height, width), 30 / width)
    page.click('#rr-stage button:text-is("Point")')
    canvas = page.locator(".rv-pane canvas").first.bounding_box()
    page.mouse.click(canvas["x"] + at[1], canvas["y"] + at[0])
    voxel = tuple(int(n) for n in page.get_attribute("#rr-stage", "data-voxel").split(","))
    assert np.abs(np.array(voxel) - LESION).max() <= 1
    assert f"voxel {voxel[0]}, {voxel[1]}, {voxel[2]}" in page.inner_text(".rv-chips")
    assert f"value {LESION_HU} HU" in page.inner_text(".rv-status")
    ring = np.abs(_pixels(page) - np.array([255, 204, 77])).sum(2) < 60
    assert np.abs(np.argwhere(ring).mean(0) - at).max() < 12  # the point is drawn where it was placed
    before = page.evaluate("window.readingroom.viewer.pane.at")
    _run(page, "Segment what I clicked.")
    mask, prompt, artifact = _made(house, page)
    assert artifact["provenance"]["model"]["card"] == "grow"
    assert np.abs(np.array(prompt["points"][0]) - voxel).max() <= 0.5
    assert mask[voxel]
    assert np.array_equal(mask, lesion)
    _shot(page, "outlined-in-a-ct")
    assert page.evaluate("window.readingroom.viewer.pane.at") == pytest.approx(before, abs=0.01)  # still in sight
    shown = _pixels(page)
    page.uncheck("li[data-region^='s1/'] input")
    changed = np.argwhere(np.abs(shown - _pixels(page)).sum(2) > 20)
    assert len(changed) > 0.8 * bright.sum()
    shift = shown.shape[1] - width  # the list of overlays takes room at the right
    assert np.abs(changed.mean(0) - at).max() < 25 + abs(shift)
