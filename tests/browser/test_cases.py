"""The list of cases in a real browser: series with pictures, folders, refused files, earlier readings."""

from __future__ import annotations

import shutil

import pytest

from tests.page_server import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("cases")) as found:
        yield found


@pytest.fixture
def page(chromium, address):
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    found = context.new_page()
    found.set_default_timeout(60_000)
    found.goto(address)
    found.wait_for_function("window.readingroom?.viewer")
    yield found
    context.close()


def _in_series(uid, number):
    def edit(dataset, k):
        dataset.SeriesInstanceUID, dataset.SeriesNumber = uid, number
        dataset.SOPInstanceUID = f"{uid}.{k + 1}"

    return edit


@pytest.fixture
def folder(tmp_path):
    """Two series of DICOM files, and a file that only claims to be one."""
    from tests.phantoms import phantom_volume, write_dicom_series

    root = tmp_path / "study <i>one"
    root.mkdir()
    for number, uid in enumerate(("1.2.3.4.5", "1.2.3.4.6"), 1):
        made = tmp_path / f"series{number}"
        made.mkdir()
        write_dicom_series(made, phantom_volume(shape=(12, 11, 6)), edit=_in_series(uid, number))
        for file in made.iterdir():
            shutil.copyfile(file, root / f"{number}-{file.name}")
    (root / "renamed.dcm").write_text("no image", encoding="utf-8")
    return root


def test_a_folder_becomes_series_with_pictures_and_says_what_it_refused(page, folder):
    page.set_input_files("#rr-folder input[type=file], input[webkitdirectory]", str(folder))
    page.wait_for_selector("#rr-study >> text=2 series: choose one below")
    assert page.locator("#rr-study .rr-series-list li").count() == 2
    assert "renamed.dcm" in page.inner_text("#rr-study .rr-bad")
    assert "is not DICOM" in page.inner_text("#rr-study .rr-bad")
    page.wait_for_function(
        "[...document.querySelectorAll('#rr-study .rr-thumb img')].filter(i => i.naturalWidth > 0).length === 2"
    )
    page.wait_for_selector('#rr-stage[data-open="new1.1"]')
    page.click("#rr-study .rr-series-list li:nth-child(2) button")
    page.wait_for_selector('#rr-stage[data-open="new1.2"]')
    assert "CANARY" not in page.inner_text("body")


def test_an_earlier_reading_is_in_the_list_of_its_own_browser(page, chromium, address):
    page.fill("#rr-request textarea", "Find reports of <b>large</b> hearts.")
    page.click("#rr-ask")
    page.wait_for_selector("#rr-talk .rr-results, #rr-talk .rr-answer")
    page.wait_for_selector("#rr-ask:visible")
    page.click("#rr-new")
    page.wait_for_selector('#rr-earlier a[href^="?reading="] >> text=Find reports of <b>large</b> hearts.')
    other = chromium.new_context().new_page()
    other.goto(address)
    other.wait_for_selector("#rr-ask")
    other.wait_for_timeout(1000)
    assert other.locator("#rr-earlier a").count() == 0
    other.context.close()
    page.click("#rr-earlier a")
    page.wait_for_selector("#rr-talk >> text=Find reports of")


def test_tabs_and_cases_are_arranged_by_keyboard(page):
    height = page.locator("#rr-tabs").bounding_box()["height"]
    page.focus("#rr-line")
    page.keyboard.press("ArrowUp")
    assert page.locator("#rr-tabs").bounding_box()["height"] > height + 10
    page.keyboard.press("Enter")
    assert page.locator("#rr-tabs").bounding_box()["height"] < 60
    page.focus("#rr-fold")
    page.keyboard.press("Enter")
    assert page.locator("#rr-side").is_hidden()
    page.reload()
    page.wait_for_selector("#rr-fold")
    assert page.locator("#rr-side").is_hidden()  # the browser remembers
