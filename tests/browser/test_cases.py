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


STUDIES = (("1.2.3.4", "20250601", "CT THORAX"), ("1.2.3.9", "20260102", "CT <b>CONTROL"))


def _in_series(study, number):
    uid, day, description = study

    def edit(dataset, k):
        dataset.StudyInstanceUID, dataset.StudyDate, dataset.StudyDescription = uid, day, description
        dataset.SeriesInstanceUID, dataset.SeriesNumber = f"{uid}.{number}", number
        dataset.SeriesDescription = f"SERIES {number}"
        dataset.SOPInstanceUID = f"{uid}.{number}.{k + 1}"

    return edit


@pytest.fixture
def folder(tmp_path):
    """Two studies of two series of DICOM files, and a file that only claims to be one."""
    from tests.phantoms import phantom_volume, write_dicom_series

    root = tmp_path / "study <i>one"
    root.mkdir()
    for study in STUDIES:
        for number in (1, 2):
            made = tmp_path / f"{study[0]}-{number}"
            made.mkdir()
            write_dicom_series(made, phantom_volume(shape=(12, 11, 4 + number)), edit=_in_series(study, number))
            for file in made.iterdir():
                shutil.copyfile(file, root / f"{study[0]}-{number}-{file.name}")
    (root / "renamed.dcm").write_text("no image", encoding="utf-8")
    return root


APART = """() => {
  const [label, words] = ["#rr-uploads label", "#rr-uploads [data-testid=upload-text]"].map((selector) => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector(selector));
    return range.getBoundingClientRect();
  });
  return words.top - label.bottom;
}"""


def test_the_words_of_the_upload_lie_apart_however_gradio_measures_its_room(page):
    """After a restart of the server under an open page, Gradio shows more of them than at first."""
    assert page.evaluate(APART) >= 0
    density = "(full) => document.querySelector('[data-upload-density]').dataset.uploadDensity = full"
    for full in ("full", "compact"):
        page.evaluate(density, full)
        assert page.evaluate(APART) >= 0, full


@pytest.fixture(scope="module")
def slow_address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("slow"), step_seconds=1.5) as found:
        yield found


def test_what_is_attached_is_seen_while_the_run_goes_on_and_an_upload_meanwhile_stays(chromium, slow_address, tmp_path):
    from tests.phantoms import phantom_volume
    from tools.imaging.nifti import write_nifti

    files = [tmp_path / "first.nii.gz", tmp_path / "second.nii.gz"]
    for file in files:
        write_nifti(file, phantom_volume(shape=(12, 11, 10)).array, phantom_volume(shape=(12, 11, 10)))
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(slow_address)
    page.set_input_files("#rr-uploads input[type=file]", str(files[0]))
    page.wait_for_selector("#rr-study >> text=ready to attach")
    page.fill("#rr-request textarea", "Segment the lungs.")
    page.click("#rr-ask")
    page.wait_for_selector("#rr-study .rr-in >> text=first.nii.gz")
    assert page.is_visible("#rr-stop")  # still running
    page.set_input_files("#rr-uploads input[type=file]", str(files[1]))
    page.wait_for_selector("#rr-study li:not(.rr-in) >> text=second.nii.gz")
    assert page.is_visible("#rr-stop")
    page.wait_for_selector("#rr-ask", state="visible")
    assert page.locator("#rr-study li.rr-in b").all_inner_texts() == ["first.nii.gz"]
    assert page.locator("#rr-study li:not(.rr-in) b").all_inner_texts() == ["second.nii.gz"]
    page.fill("#rr-request textarea", "And of this one?")
    page.click("#rr-ask")
    page.wait_for_selector("#rr-study li.rr-in >> nth=1")
    page.wait_for_selector("#rr-ask", state="visible")
    assert page.locator("#rr-study li.rr-in b").all_inner_texts() == ["first.nii.gz", "second.nii.gz"]
    context.close()


def test_a_folder_becomes_studies_and_series_with_pictures_and_says_what_it_refused(page, folder):
    page.set_input_files("#rr-folder input[type=file], input[webkitdirectory]", str(folder))
    page.wait_for_selector("#rr-study >> text=4 series in 2 studies: tick those to attach")
    heads = page.locator("#rr-study .rr-study-head").all_inner_texts()
    assert heads == ["2 Jan 2026 · CT <b>CONTROL · CT", "1 Jun 2025 · CT THORAX · CT"]
    for section in page.locator("#rr-study section").all():
        assert section.locator("li b").all_inner_texts() == ["SERIES 1", "SERIES 2"]
    assert "renamed.dcm" in page.inner_text("#rr-study .rr-bad")
    assert "is not DICOM" in page.inner_text("#rr-study .rr-bad")
    page.wait_for_function(
        "[...document.querySelectorAll('#rr-study .rr-thumb img')].filter(i => i.naturalWidth > 0).length === 4"
    )
    page.wait_for_selector("#rr-stage[data-open^='new1']")
    page.click("#rr-study section:nth-of-type(2) li:nth-child(2) button")
    page.wait_for_selector('#rr-stage[data-open="new1.2"]')
    assert "CANARY" not in page.inner_text("body")


def test_series_of_two_studies_are_ticked_by_keyboard_and_the_older_one_is_the_prior(page, folder):
    page.set_input_files("#rr-folder input[type=file], input[webkitdirectory]", str(folder))
    page.wait_for_selector("#rr-study input[data-series]")
    ticked = "[...document.querySelectorAll('#rr-study input[data-series]:checked')].map(box => box.dataset.series)"
    assert page.evaluate(ticked) == ["new1.4"]  # the largest of the newest
    assert page.locator("#rr-priors").is_hidden()
    page.focus('#rr-study input[data-series="new1.4"]')
    page.keyboard.press("Space")
    page.wait_for_selector("#rr-study >> text=None is ticked: nothing of this is attached.")
    page.keyboard.press("Space")
    page.focus('#rr-study input[data-series="new1.2"]')
    page.keyboard.press("Space")
    page.wait_for_selector("#rr-priors input:checked")
    assert page.evaluate("document.activeElement.dataset.series") == "new1.2"  # the list stayed as it was
    labels = page.locator("#rr-priors label").all_inner_texts()
    assert [label.strip() for label in labels] == ["2 Jan 2026 · CT <b>CONTROL", "1 Jun 2025 · CT THORAX"]
    assert [box.is_checked() for box in page.locator("#rr-priors input").all()] == [False, True]
    page.fill("#rr-request textarea", "Compare the two.")
    page.click("#rr-ask")
    page.wait_for_selector("#rr-talk .rr-results")
    assert page.locator("#rr-study .rr-in b").all_inner_texts() == ["22 DICOM files"] * 2


def test_a_place_in_a_series_that_is_unticked_is_said_not_to_be_sent(page, folder):
    page.set_input_files("#rr-folder input[type=file], input[webkitdirectory]", str(folder))
    page.wait_for_selector("#rr-study input[data-series]")
    page.click("#rr-study section:nth-of-type(2) li:nth-child(2) button")
    page.wait_for_selector('#rr-stage[data-open="new1.2"]')
    page.focus(".rv-panes")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    box = page.locator('#rr-study input[data-series="new1.2"]')
    page.wait_for_selector('#rr-study input[data-series="new1.2"]:checked')  # pointing into it ticked it
    assert page.locator(".rv-chips .rv-left-out").count() == 0
    box.uncheck()
    page.wait_for_selector(".rv-chips .rv-left-out >> text=not sent: its series is not ticked")
    assert box.is_checked() is False
    box.check()
    page.wait_for_selector(".rv-chips .rv-left-out", state="detached")
    assert "point 1: new1.2" in page.inner_text(".rv-chips")


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
