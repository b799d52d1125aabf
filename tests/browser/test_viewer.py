"""The viewer in a real browser: volumes, masks, windows, places, films, and browsers that cannot draw volumes."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest

from tests.browser.conftest import CHROMIUM, SCREENSHOTS, violations
from tests.browser.viewer_page import (
    CUBES,
    LESION_RAS,
    SHAPE,
    STEP_MM,
    affine,
    phantom,
    serving,
    write_ct,
    write_film,
    write_small_ct,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
NO_WEBGL = ["--no-sandbox", "--disable-gpu", "--disable-webgl", "--disable-3d-apis"]
SLOW_MS = 90_000
BLUE = np.array([86, 180, 233])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("viewer")) as found:
        yield found


def _open(driver, address, flags):
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(SLOW_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    page.wait_for_function("window.readingroom?.viewer")
    return page


def _attach(page, path, image="new1"):
    page.set_input_files("#rr-uploads input[type=file]", str(path))
    page.wait_for_selector(f'#rr-stage[data-open="{image}"]')


def _compare_two(page, folder):
    files = [write_ct(folder / name) for name in ("now.nii.gz", "before.nii.gz")]
    page.set_input_files("#rr-uploads input[type=file]", [str(file) for file in files])
    page.wait_for_selector('#rr-stage[data-open="new1"]')
    page.click('#rr-stage button:text-is("Axial")')
    page.click('#rr-stage button:text-is("Compare")')


def _ask(page, image="img1"):
    page.fill("#rr-request textarea", "Outline the lesion.")
    page.click("#rr-ask")
    page.wait_for_selector(f'#rr-stage[data-open="{image}"]')


def _settle(page):
    """Wait until everything that was asked for is on the screen."""
    page.evaluate("window.readingroom.viewer.settled()")


def _shot(page, name):
    """Keep what is to be seen among the build's output."""
    _settle(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"viewer-{name}.png")


def _pixels(page):
    from PIL import Image

    _settle(page)
    shot = page.locator(".rv-pane canvas").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def ct_page(driver, address, tmp_path_factory):
    """A page with the phantom attached, the lesion outlined, axial slices shown."""
    page = _open(driver, address, FLAGS)
    _attach(page, write_ct(tmp_path_factory.mktemp("ct") / "ct.nii.gz"))
    _ask(page)
    _wait_for_overlays(page)
    _overlays(page, on=False)
    page.click('#rr-stage button:text-is("Axial")')
    yield page
    assert page.problems == []
    page.context.browser.close()


ROWS = [
    "data-region='s4/grad-cam.nii.gz'", "data-mark='s2/0'", "data-mark='s3/0'", "data-mark='s5/0'",
    "data-mark='s5/1'", "data-region='s6/gained'", "data-region='s6/lost'",
]  # fmt: skip


def _wait_for_overlays(page):
    for row in ("data-region='s1/lesion'", *ROWS):
        page.wait_for_selector(f"li[{row}]")
    page.wait_for_selector('#rr-stage[data-layers="3"]')


def _overlays(page, *, on):
    """Switch everything but the mask on or off."""
    for row in ROWS:
        page.set_checked(f"li[{row}] input", on)


def _go(page, what):
    page.evaluate("what => window.readingroom.viewer.show(what)", what)


def test_evidence_goes_to_its_slice_and_the_mask_lies_there(ct_page):
    _go(ct_page, {"volume": "img1", "mask": "s1/lesion"})
    voxel = np.array([int(n) for n in ct_page.get_attribute("#rr-stage", "data-voxel").split(",")])
    world = affine()[:3, :3] @ voxel + affine()[:3, 3]
    assert np.abs(world - LESION_RAS).max() <= 3.1  # one voxel: the place is inside the lesion
    assert "value 300 HU" in ct_page.inner_text(".rv-status")
    assert "L 3" in ct_page.inner_text(".rv-status")
    shown = _pixels(ct_page)
    ct_page.click('li[data-region="s1/lesion"] input')
    hidden = _pixels(ct_page)
    ct_page.click('li[data-region="s1/lesion"] input')
    changed = np.abs(shown - hidden).sum(2) > 40
    rows, columns = np.nonzero(changed)
    assert len(rows) > 60
    height, width = changed.shape
    assert columns.mean() > width / 2  # the patient's left is on the right of the picture
    assert rows.mean() < height / 2  # the front is at the top
    tint = (shown - hidden)[changed].mean(0)
    assert tint[2] > tint[0]  # towards the colour of the mask, a blue
    assert columns.max() - columns.min() < width / 4  # there, and nowhere else


def _heat_and_marks(page):
    """What a heat map, a box and a point change on the picture of the lesion, in the order of the list."""
    page.uncheck("li[data-region='s1/lesion'] input")
    page.click("li[data-mark='s3/0'] button")  # goes to the point, and shows it
    assert page.is_checked("li[data-mark='s3/0'] input")
    page.uncheck("li[data-mark='s3/0'] input")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 300 HU')")
    orange, blue, red = (230, 159, 0), (86, 180, 233), (255, 130, 130)  # the last: half of the heat over white
    for colour in (orange, blue, red):
        _seen(page, colour, is_there=False)
    found = []
    for row, colour in (("region='s4/grad-cam.nii.gz'", red), ("mark='s2/0'", orange), ("mark='s3/0'", blue)):
        page.check(f"li[data-{row}] input")
        found.append(_seen(page, colour))
        page.uncheck(f"li[data-{row}] input")
        _seen(page, colour, is_there=False)
    page.check("li[data-region='s1/lesion'] input")
    return found


def _seen(page, colour, *, is_there=True):
    """Wait until a colour is seen, or is no longer; return where."""
    until = time.monotonic() + SLOW_MS / 1000
    while time.monotonic() < until:
        found = np.argwhere(np.abs(_pixels(page) - np.array(colour)).sum(2) < 60)
        if bool(len(found)) == is_there:
            return found
    raise AssertionError(f"{colour} is {'not ' if is_there else ''}seen")


def _lie_on_the_lesion(heat, box, point):
    assert len(heat) > 100
    assert len(box) > 50
    assert len(point) > 10
    assert np.abs(np.median(heat, 0) - (box.min(0) + box.max(0)) / 2).max() < 14  # the label stands above the box
    assert (heat.min(0) >= box.min(0) - 2).all()
    assert (heat.max(0) <= box.max(0) + 2).all()
    assert np.abs(point[:, 0].mean() - np.median(heat[:, 0])) < 12


def test_heat_map_box_and_point_lie_on_the_lesion_with_a_legend(ct_page):
    _lie_on_the_lesion(*_heat_and_marks(ct_page))
    legend = ct_page.locator("li[data-region='s4/grad-cam.nii.gz'] .rv-legend")
    assert legend.get_attribute("aria-label") == "From clear at 0 to red at 3.50"
    assert ct_page.inner_text("li[data-region='s4/grad-cam.nii.gz'] .rr-mark") == "opinion"


def _screen(page, voxels):
    """Where on the picture places of an axial slice lie, in pixels: (n, 2), x and y."""
    at = """voxels => {
        const {pane} = window.readingroom.viewer;
        const {nv, info} = pane;
        const [left, top, width, height] = nv.screenSlices[0].leftTopWidthHeight;
        const frac = (x, y) => Array.from(nv.screenXY2TextureFrac(x, y, 0, false));
        const [o, r, d] = [frac(left, top), frac(left + width, top), frac(left, top + height)];
        return voxels.map(v => {
            const mm = info.affine_ras.slice(0, 3).map(row => row[0]*v[0] + row[1]*v[1] + row[2]*v[2] + row[3]);
            const f = Array.from(nv.mm2frac(mm));
            const share = (to) => {
                const n = [0, 1, 2].reduce((b, i) => Math.abs(to[i] - o[i]) > Math.abs(to[b] - o[b]) ? i : b, 0);
                return (f[n] - o[n]) / (to[n] - o[n]);
            };
            return [left + share(r) * width, top + share(d) * height];
        });
    }"""
    return np.array(page.evaluate(at, voxels))


def test_a_measured_diameter_is_drawn_where_it_was_measured_and_a_click_goes_there(ct_page):
    from tools.measuring.size import diameter
    from tools.measuring.structure import Structure

    volume, lesion = phantom()
    expected, _ = diameter(Structure("lesion", lesion, volume, "img1", "s1"), [])
    ct_page.uncheck("li[data-region='s1/lesion'] input")
    _go(ct_page, {"volume": "img1", "voxel": [30, 35, 25]})
    ct_page.get_by_role("tab", name="Measurements", exact=True).click()
    ct_page.click("#rr-tabs .rr-measures .rr-number >> nth=0")  # the line is switched off: the click shows it
    ct_page.wait_for_function("JSON.parse(document.getElementById('rr-stage').dataset.shown).ends")
    j = int(ct_page.get_attribute("#rr-stage", "data-voxel").split(",")[1])
    assert j == expected.where.slice_index
    assert ct_page.is_checked("li[data-mark='s5/0'] input")
    assert ct_page.inner_text("li[data-mark='s5/0'] button").startswith(
        f"longest diameter of lesion {expected.value:.1f}"
    )
    _shot(ct_page, "diameter")
    ct_page.check("li[data-region='s1/lesion'] input")
    shown = _pixels(ct_page)
    ct_page.uncheck("li[data-mark='s5/0'] input")
    changed = np.abs(shown - _pixels(ct_page)).sum(2) > 60
    ct_page.check("li[data-region='s1/lesion'] input")
    one, other = _screen(ct_page, expected.where.ends)
    for share in np.linspace(0.05, 0.95, 7):
        x, y = np.rint(one + share * (other - one)).astype(int)
        assert changed[y - 2 : y + 3, x - 2 : x + 3].any(), share
    length_px = np.hypot(*(other - one))
    rows, columns = np.nonzero(changed)
    along = (np.stack([columns, rows], 1) - one) @ (other - one) / length_px
    across = np.abs((np.stack([columns, rows], 1) - one) @ np.array([-(other - one)[1], (other - one)[0]])) / length_px
    assert along[across < 2].min() > -3
    _go(ct_page, {"volume": "img1", "voxel": [30, 35, 25]})
    ct_page.check("li[data-mark='s5/0'] input")
    assert int(ct_page.get_attribute(".rv-pane", "data-marks")) == 0  # and on no other slice
    ct_page.uncheck("li[data-mark='s5/0'] input")


def test_what_a_comparison_found_gained_and_lost_lies_over_the_later_study_with_a_legend(ct_page):
    ct_page.uncheck("li[data-region='s1/lesion'] input")
    heading = ct_page.locator(".rv-heading")
    assert heading.all_inner_texts() == ["Change since img2, 2025-06-01"]
    for name, colour in (("gained", (230, 159, 0)), ("lost", (0, 158, 115))):
        row = f"li[data-region='s6/{name}']"
        assert ct_page.inner_text(row).strip() == name
        swatch = ct_page.evaluate("row => getComputedStyle(document.querySelector(row + ' i')).backgroundColor", row)
        assert swatch == f"rgb({', '.join(map(str, colour))})"
        ct_page.check(f"{row} input")
        ct_page.click(f"{row} button")
        ct_page.wait_for_function(
            "name => document.getElementById('rr-stage').dataset.shown?.includes('s6/' + name)", arg=name
        )
        shown = _pixels(ct_page)
        ct_page.uncheck(f"{row} input")
        change = shown - _pixels(ct_page)
        cube = np.argwhere(_cube(name))
        corners = _screen(ct_page, [cube.min(0).tolist(), cube.max(0).tolist()])
        rows, columns = np.nonzero(np.abs(change).sum(2) > 30)
        for seen, (low, high) in ((columns, np.sort(corners[:, 0])), (rows, np.sort(corners[:, 1]))):
            assert np.abs(np.percentile(seen, [1, 99]) - (low, high)).max() < 18  # half a voxel, and its smooth edge
        tint = change[rows, columns].mean(0)
        assert (tint[0] > tint[2]) == (name == "gained")  # orange, green
        ct_page.check(f"{row} input")
    _shot(ct_page, "change-map")
    for name in CUBES:
        ct_page.uncheck(f"li[data-region='s6/{name}'] input")
    ct_page.check("li[data-region='s1/lesion'] input")


def _cube(name):
    inside = np.zeros(SHAPE, bool)
    inside[CUBES[name]] = True
    return inside


@pytest.mark.parametrize("layout", ["Planes", "Axial"])
def test_the_list_of_overlays_lies_beside_the_picture_and_nothing_breaks_wcag_aa(ct_page, layout):
    ct_page.click(f'#rr-stage button:text-is("{layout}")')
    _shot(ct_page, f"ct-{layout.lower()}")
    assert violations(ct_page, "#rr-stage") == []
    canvas = ct_page.locator(".rv-pane canvas").first
    panel, picture = ct_page.locator(".rv-panel").bounding_box(), canvas.bounding_box()
    assert picture["x"] + picture["width"] <= panel["x"] + 1
    ct_page.click('#rr-stage button:text-matches("Overlays")')
    _settle(ct_page)
    assert ct_page.locator(".rv-panel").is_hidden()
    assert canvas.bounding_box()["width"] == pytest.approx(picture["width"] + panel["width"], abs=1)
    ct_page.focus(".rv-panes")
    ct_page.keyboard.press("o")
    assert ct_page.locator(".rv-panel").is_visible()


def test_presets_and_opacity_change_the_picture(ct_page):
    _go(ct_page, {"volume": "img1", "mask": "s1/lesion"})
    soft = _pixels(ct_page)
    ct_page.click('#rr-stage button:text-is("lung")')
    assert "window 1500, level −600" in ct_page.inner_text(".rv-status")
    lung = _pixels(ct_page)
    assert lung.mean() > soft.mean() + 10  # 40 HU is white in a lung window
    ct_page.click('#rr-stage button:text-is("bone")')
    assert _pixels(ct_page).mean() < lung.mean() - 10
    ct_page.click('#rr-stage button:text-is("soft tissue")')
    assert np.abs(_pixels(ct_page) - soft).mean() < 1
    ct_page.evaluate("""() => {
        const slider = document.querySelector('.rv-opacity input');
        slider.value = 0;
        slider.dispatchEvent(new Event('input'));
    }""")
    assert np.abs(_pixels(ct_page) - soft).sum() > 1000
    ct_page.evaluate("""() => {
        const slider = document.querySelector('.rv-opacity input');
        slider.value = 45;
        slider.dispatchEvent(new Event('input'));
    }""")


def test_keys_scroll_slices_and_choose_tools(ct_page):
    _go(ct_page, {"volume": "img1", "voxel": [30, 20, 25]})
    ct_page.focus(".rv-panes")
    ct_page.keyboard.press("ArrowUp")  # j runs to the head
    assert ct_page.get_attribute("#rr-stage", "data-voxel") == "30,21,25"
    ct_page.keyboard.press("Shift+ArrowUp")  # i runs to the back: one to the front is one less
    assert ct_page.get_attribute("#rr-stage", "data-voxel") == "29,21,25"
    ct_page.keyboard.press("ArrowRight")  # k runs to the right
    assert ct_page.get_attribute("#rr-stage", "data-voxel") == "29,21,26"
    ct_page.keyboard.press("d")
    assert ct_page.get_attribute('#rr-stage button:text-is("Measure")', "aria-checked") == "true"
    ct_page.keyboard.press("c")
    ct_page.keyboard.press("?")
    assert "next and previous axial slice" in ct_page.inner_text("dialog")
    ct_page.keyboard.press("Escape")


def test_a_link_anywhere_in_the_page_moves_the_viewer(ct_page):
    show = {"volume": "img1", "world": [int(n) for n in LESION_RAS]}
    compact = json.dumps(show, separators=(",", ":"))
    ct_page.evaluate(
        """show => {
        const link = document.createElement('button');
        link.id = 'probe'; link.textContent = 'here'; link.dataset.show = show;
        document.getElementById('rr-talk').append(link);
    }""",
        compact,
    )
    ct_page.click("#probe")
    ct_page.wait_for_function("show => document.getElementById('rr-stage').dataset.shown === show", arg=compact)
    expected = np.linalg.solve(affine()[:3, :3], LESION_RAS - affine()[:3, 3])
    voxel = [int(n) for n in ct_page.get_attribute("#rr-stage", "data-voxel").split(",")]
    assert np.abs(voxel - expected).max() <= 0.51


def test_three_planes_and_3d_are_drawn(ct_page):
    ct_page.click('#rr-stage button:text-is("3-D")')
    assert _pixels(ct_page).std() > 5
    ct_page.click('#rr-stage button:text-is("Planes")')
    planes = _pixels(ct_page)
    third = planes.shape[1] // 3
    assert planes[:, :third].std() > 5
    assert planes[:, -third:].std() > 5
    ct_page.click('#rr-stage button:text-is("Axial")')


def test_points_wait_for_the_next_request(ct_page):
    _go(ct_page, {"volume": "img1", "mask": "s1/lesion"})
    ct_page.focus(".rv-panes")
    ct_page.keyboard.press("p")
    ct_page.keyboard.press("Enter")
    chip = ct_page.inner_text(".rv-chips")
    voxel = ct_page.get_attribute("#rr-stage", "data-voxel").replace(",", ", ")
    assert f"point 1: img1 voxel {voxel}" in chip
    ct_page.click(".rr-chip button")
    assert ct_page.is_hidden(".rv-chips")
    ct_page.keyboard.press("c")


def _drag(page, start, end, button="left"):
    """Drag between two places of the picture, given as shares of its width and height."""
    box = page.locator(".rv-pane canvas").first.bounding_box()
    for at, then in ((start, page.mouse.down), (end, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1], steps=4)
        then(button=button)
    _settle(page)


def _coloured(page, colour):
    return np.argwhere(np.abs(_pixels(page) - np.array(colour)).sum(2) < 60)


def test_boxes_and_points_of_results_lie_on_their_slices(ct_page):
    add = (
        "([kind, mark]) => window.readingroom.viewer.scene[kind].push({image: 'img1', label: '', score: null, ...mark})"
    )
    take = "kind => window.readingroom.viewer.scene[kind].pop()"
    ct_page.evaluate(add, ["boxes", {"id": "x/0", "lower": [8, 23, 36], "upper": [18, 30, 44]}])
    _go(ct_page, {"volume": "img1", "voxel": [13, 35, 40]})
    assert len(_coloured(ct_page, BLUE)) == 0  # j = 35 is above the box
    _go(ct_page, {"volume": "img1", "voxel": [13, 27, 40]})
    found = _coloured(ct_page, BLUE)  # the second name's colour
    ct_page.evaluate(take, "boxes")
    corners = [affine()[:3, :3] @ np.array(v) + affine()[:3, 3] for v in ([7.5, 27, 35.5], [18.5, 27, 44.5])]
    wide_mm, high_mm = np.abs(corners[0] - corners[1])[:2]
    height_px, width_px = np.ptp(found, axis=0)
    assert width_px / height_px == pytest.approx(wide_mm / high_mm, rel=0.05)
    ct_page.evaluate(add, ["points", {"id": "x/1", "at": [13, 27, 40]}])
    _go(ct_page, {"volume": "img1", "voxel": [13, 27, 40]})
    point = _coloured(ct_page, (240, 228, 66))  # the third's
    ct_page.evaluate(take, "points")
    assert np.abs(point.mean(0) - found.mean(0)).max() < 12
    _go(ct_page, {"volume": "img1", "voxel": [30, 20, 25]})


def test_the_mouse_windows_scrolls_measures_and_draws_boxes(ct_page):
    _go(ct_page, {"volume": "img1", "voxel": [30, 20, 25]})
    ct_page.click('#rr-stage button:text-is("soft tissue")')
    _drag(ct_page, (0.5, 0.5), (0.55, 0.5), "right")
    low, high = ct_page.evaluate("window.readingroom.viewer.pane.window")
    assert high - low > 420  # to the right is wider
    assert (low + high) / 2 == pytest.approx(50, abs=1)
    ct_page.keyboard.press("w")
    _drag(ct_page, (0.5, 0.5), (0.5, 0.6))
    low, high = ct_page.evaluate("window.readingroom.viewer.pane.window")
    assert (low + high) / 2 < 20
    assert f"level −{abs((low + high) / 2):.0f}" in ct_page.inner_text(".rv-status")
    ct_page.click('#rr-stage button:text-is("soft tissue")')
    ct_page.keyboard.press("c")
    j = int(ct_page.get_attribute("#rr-stage", "data-voxel").split(",")[1])
    ct_page.hover(".rv-pane")
    ct_page.mouse.wheel(0, 100)
    ct_page.wait_for_function(
        "j => Math.abs(document.getElementById('rr-stage').dataset.voxel.split(',')[1] - j) === 1", arg=j
    )
    ct_page.keyboard.press("d")
    _drag(ct_page, (0.4, 0.5), (0.6, 0.5))
    nv = "window.readingroom.viewer.pane.nv"
    measured = ct_page.evaluate(f"{nv}.document.completedMeasurements.at(-1).distance")
    frame = ct_page.locator(".rv-pane canvas").first.bounding_box()
    mm_per_px = SHAPE[0] * STEP_MM[0] / frame["height"]  # axis i, towards the back, fills the height
    assert measured == pytest.approx(0.2 * frame["width"] * mm_per_px, rel=0.03)
    ct_page.evaluate(f"{nv}.clearMeasurements()")
    ct_page.keyboard.press("b")
    _drag(ct_page, (0.4, 0.4), (0.6, 0.6))
    assert "box 1: img1 voxel" in ct_page.inner_text(".rv-chips")
    assert int(ct_page.get_attribute(".rv-pane", "data-marks")) >= 1
    ct_page.click(".rr-chip button")
    ct_page.keyboard.press("c")


def test_another_image_beside_follows_and_leads(driver, address, tmp_path):
    page = _open(driver, address, FLAGS)
    _compare_two(page, tmp_path)
    page.wait_for_selector(".rv-caption >> text=linked by scanner position, not aligned")
    both = "f => ['pane', 'second'].map(name => Array.from(window.readingroom.viewer[name][f]))"
    page.focus(".rv-panes")
    page.keyboard.press("ArrowUp")
    first, second = page.evaluate(both, "at")
    assert first == pytest.approx(second, abs=0.01)
    box = page.locator(".rv-pane >> nth=1").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.45)
    _settle(page)
    moved = page.evaluate(both, "at")
    assert np.abs(np.array(moved[0]) - first).max() > 3
    assert moved[0] == pytest.approx(moved[1], abs=0.01)
    _drag(page, (0.5, 0.5), (0.6, 0.5), "right")
    windows = page.evaluate(both, "window")
    assert windows[0] == windows[1] != [-150, 250]
    page.select_option(".rv-images", "new2")
    page.wait_for_selector('#rr-stage[data-open="new2"]')
    assert page.get_attribute('#rr-stage button:text-is("Compare")', "aria-pressed") == "false"
    assert page.problems == []
    page.context.browser.close()


def test_an_upload_that_is_taken_back_never_stands_for_the_next(driver, address, tmp_path):
    import nibabel as nib

    page = _open(driver, address, FLAGS)
    first = write_ct(tmp_path / "first.nii.gz")
    image = nib.load(first)
    lighter = np.asanyarray(image.dataobj) + 7
    nib.save(nib.Nifti1Image(lighter, image.affine, image.header), tmp_path / "second.nii.gz")
    _attach(page, first)
    _settle(page)
    page.evaluate("window.readingroom.viewer.pane.goVoxel([41, 13, 30])")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 40 HU')")
    page.click('#rr-uploads button[aria-label="Clear"]')
    page.wait_for_selector("#rr-stage:not(.rv-has-image)")
    _attach(page, tmp_path / "second.nii.gz", "new2")
    _settle(page)
    page.evaluate("window.readingroom.viewer.pane.goVoxel([41, 13, 30])")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 47 HU')")
    reading = page.evaluate("window.readingroom.viewer.scene.reading")
    page.goto(f"{address}/?reading={reading}")  # its ids begin anew
    page.wait_for_function("window.readingroom?.viewer")
    _attach(page, tmp_path / "second.nii.gz")
    _settle(page)
    assert page.evaluate("window.readingroom.viewer.scene.reading") == reading
    page.evaluate("window.readingroom.viewer.pane.goVoxel([41, 13, 30])")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 47 HU')")
    assert page.problems == []
    page.context.browser.close()


PLACE = """() => { const { pane, host, controls } = window.readingroom.viewer; return {
    voxel: host.dataset.voxel, window: pane.window, zoom: Array.from(pane.nv.scene.pan2Dxyzmm),
    layout: pane.layout, images: [...controls.images.options].map((one) => one.value)}; }"""


def test_what_waited_is_attached_without_being_opened_anew(driver, address, tmp_path):
    page = _open(driver, address, FLAGS)
    fetched = []
    page.on("request", lambda request: fetched.append(request.url) if request.url.endswith("volume.nii") else None)
    _compare_two(page, tmp_path)
    page.wait_for_selector(".rv-caption >> text=not attached yet")
    page.click('#rr-stage button:text-is("bone")')
    page.evaluate("window.readingroom.viewer.pane.goVoxel([41, 13, 30])")
    page.focus(".rv-panes")
    page.keyboard.press("+")
    _settle(page)
    before = page.evaluate(PLACE)
    assert (before["voxel"], before["window"], before["images"]) == ("41,13,30", [-500, 1300], ["new1", "new2"])
    assert before["zoom"][3] == pytest.approx(1.2)
    _ask(page)
    _wait_for_overlays(page)
    assert page.evaluate(PLACE) == before | {"images": ["img1", "img2"]}
    assert "img2" in page.inner_text(".rv-caption")
    assert len(fetched) == 2
    assert page.input_value(".rv-images") == "img1"
    assert "value 40 HU" in page.inner_text(".rv-status")
    page.click("li[data-region='s1/lesion'] button")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 300 HU')")
    page.set_input_files("#rr-uploads input[type=file]", str(write_small_ct(tmp_path / "other.nii.gz")))
    page.wait_for_selector(".rv-images option[value=new3]", state="attached")
    page.select_option(".rv-images", "new3")
    page.wait_for_selector('#rr-stage[data-open="new3"]')
    page.evaluate("window.readingroom.viewer.pane.goVoxel([3, 2, 1])")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 321 ')")
    assert page.get_attribute("#rr-stage", "data-voxel") == "3,2,1"
    assert page.evaluate("window.readingroom.viewer.info.shape") == [8, 7, 6]
    assert page.problems == []
    page.context.browser.close()


def test_a_film_with_its_box(driver, tmp_path):
    with serving(tmp_path, "film") as address:
        _film(_open(driver, address, FLAGS), tmp_path)


def _film(page, tmp_path):
    _attach(page, write_film(tmp_path / "film <b>x.png"))
    assert page.locator('#rr-stage [role="radiogroup"][aria-label="Layout"]').is_hidden()
    measure = page.locator('#rr-stage button:text-is("Measure")')
    assert measure.get_attribute("aria-disabled") == "true"
    assert "no spacing" in measure.get_attribute("title")
    page.hover(".rv-pane canvas")
    assert "(unit unknown)" in page.inner_text(".rv-status")
    _ask(page)
    page.wait_for_function("window.readingroom.viewer.scene.boxes.length === 1 && window.readingroom.viewer.pane")
    after = _pixels(page)
    orange = np.abs(after - np.array([230, 159, 0])).sum(2) < 60
    rows, columns = np.nonzero(orange)
    assert len(rows) > 50
    left, bottom = columns.min(), rows.max()  # the label stands above the box
    square = after[bottom - 24 : bottom - 6, left + 6 : left + 50]
    around = after[bottom + 6 : bottom + 30, left : left + 50]
    assert np.median(square) > 180  # the box is around the bright square, and around it alone
    assert np.median(around) < np.median(square) - 60
    page.wait_for_selector(".rv-regions >> text=grad-cam of square")
    page.wait_for_function("window.readingroom.viewer.pane.pane.overlays.length === 1")
    assert page.inner_text(".rv-regions .rr-mark") == "opinion"
    warm = _pixels(page)
    _shot(page, "film")
    assert violations(page, "#rr-stage") == []
    page.uncheck("li[data-region='s2/grad-cam.nii.gz'] input")
    page.wait_for_function("window.readingroom.viewer.pane.pane.overlays.length === 0")
    cold = _pixels(page)
    change = warm - cold
    changed = np.argwhere(change[..., 0] - change[..., 1] > 60)  # towards red
    assert len(changed) > 500
    unit = page.evaluate("window.readingroom.viewer.pane.pane.toScreen([174.5, 154.5])")
    assert np.abs(np.median(changed, axis=0) - [unit[1], unit[0]]).max() < 4
    assert page.locator("#rr-stage b").count() == 0  # a file's name is text
    assert page.problems == []
    page.context.browser.close()


def test_without_webgl_slices_come_from_the_server(driver, address, tmp_path):
    page = _open(driver, address, NO_WEBGL)
    _attach(page, write_ct(tmp_path / "ct.nii.gz"))
    assert "no WebGL2" in page.inner_text(".rv-said")
    said, picture = (page.locator(name).bounding_box() for name in (".rv-said", ".rv-pane canvas >> nth=0"))
    assert said["y"] >= picture["y"] + picture["height"]  # it does not lie over the picture
    assert violations(page, "#rr-stage") == []
    assert page.get_attribute('#rr-stage button:text-is("3-D")', "aria-disabled") == "true"
    page.focus(".rv-panes")
    page.keyboard.press("ArrowUp")
    place = page.get_attribute("#rr-stage", "data-voxel")
    _ask(page)
    assert page.get_attribute("#rr-stage", "data-voxel") == place  # attached, it stays as it was seen
    _wait_for_overlays(page)
    _overlays(page, on=False)
    page.click("li[data-region='s1/lesion'] button")
    page.wait_for_function("document.querySelector('.rv-status').innerText.includes('value 300 HU')")
    shown = _pixels(page)
    blueish = (shown[..., 2] > shown[..., 0] + 25) & (np.abs(shown - BLUE).sum(2) < 330)
    rows, columns = np.nonzero(blueish)
    assert columns.mean() > shown.shape[1] / 2
    assert rows.mean() < shown.shape[0] / 2
    _lie_on_the_lesion(*_heat_and_marks(page))
    page.focus(".rv-panes")
    before = page.get_attribute("#rr-stage", "data-voxel").split(",")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(f'#rr-stage[data-voxel="{before[0]},{int(before[1]) + 1},{before[2]}"]')
    assert page.problems == []
    page.context.browser.close()
