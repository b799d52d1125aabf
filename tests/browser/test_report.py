"""The report in a real browser: edited until a sentence is contradicted, exported, reloaded."""

from __future__ import annotations

import threading

import pytest
from docx import Document

from tests.browser.test_conversation import SLOW_MS, open_tab, person, results, server  # noqa: F401  fixtures

BOX = "#rr-report-text textarea"

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def reporter(person):  # noqa: F811
    """Somebody with a draft report open in its tab."""

    def come():
        someone = person()
        someone.page.click("#rr-approve")
        results(someone.page)
        opened(someone.page)
        return someone

    return come


def opened(page):
    open_tab(page, "Report")
    page.wait_for_selector("#rr-report-checked .rr-supported", timeout=SLOW_MS)


def says(page, words):
    page.wait_for_function(
        "w => document.querySelector('#rr-report-saved').textContent === w", arg=words, timeout=SLOW_MS
    )


def write(page, text):
    page.fill(BOX, text)


def test_a_report_is_edited_checked_exported_and_kept(reporter):
    someone = reporter()
    page = someone.page
    assert page.locator("#rr-report-checked .rr-contradicted").count() == 0
    box = page.locator(BOX)
    box.fill(box.input_value().replace("FINDINGS\n", "FINDINGS\nThe lungs have a volume of 9.9 l.\n"))
    page.wait_for_selector("#rr-report-checked .rr-contradicted", timeout=SLOW_MS)
    wrong = page.inner_text("#rr-report-checked .rr-contradicted")
    assert "✕ contradicted" in wrong
    assert "by a person" in wrong
    someone.shot("report-contradicted")
    page.click("#rr-report-checked summary")
    assert "+ added" in page.inner_text("#rr-report-checked .rr-changes")
    page.click("#rr-report-large")
    assert page.locator("#rr-report-body").bounding_box()["width"] > 800
    assert page.locator(BOX).bounding_box()["height"] > 400
    someone.shot("report-large")
    page.keyboard.press("Escape")
    page.click("#rr-format")
    page.click("[role=option]:has-text('Word')")
    box.fill(box.input_value() + "Last words.\n")
    page.click("#rr-export")  # at once: what was just typed must be in it
    page.wait_for_selector("#rr-report-told a", timeout=SLOW_MS)
    with page.expect_download() as download:
        page.click("#rr-report-told a")
    text = "\n".join(p.text for p in Document(download.value.path()).paragraphs)
    assert "The lungs have a volume of 9.9 l. [by a person, not verified: the evidence contradicts it]" in text
    assert "Last words." in text
    assert "Research use only" in text
    page.reload()
    results(page)
    opened(page)
    page.wait_for_selector("#rr-report-checked .rr-contradicted", timeout=SLOW_MS)
    assert "9.9 l" in box.input_value()
    page.select_option("#rr-template", "Findings and impression")
    page.wait_for_function("!document.querySelector('#rr-report-box').value.includes('TECHNIQUE')", timeout=SLOW_MS)
    page.click("#rr-draft-again")
    page.wait_for_function("!document.querySelector('#rr-report-box').value.includes('9.9')", timeout=SLOW_MS)
    says(page, "Saved")
    assert someone.errors == []


def test_two_tabs_do_not_overwrite_each_other(reporter):
    someone = reporter()
    page = someone.page
    other = someone.context.new_page()
    other.goto(page.url)
    results(other)
    opened(other)
    write(page, "FINDINGS\nFirst.\n")
    says(page, "Saved")
    write(other, "FINDINGS\nSecond.\n")
    other.wait_for_selector("#rr-report-problem >> text=changed in another tab", timeout=SLOW_MS)
    says(other, "Not saved")
    assert "Second." in other.input_value(BOX)
    other.click("#rr-report-take-over")
    other.wait_for_function("document.querySelector('#rr-report-box').value.includes('First.')", timeout=SLOW_MS)
    write(other, "FINDINGS\nThird.\n")
    says(other, "Saved")
    write(page, "FINDINGS\nFourth.\n")
    page.click("#rr-report-mine", timeout=SLOW_MS)
    says(page, "Saved")
    other.reload()
    results(other)
    opened_text = "document.querySelector('#rr-report-box')?.value.includes('Fourth.')"
    open_tab(other, "Report")
    other.wait_for_function(opened_text, timeout=SLOW_MS)


def test_what_is_typed_is_never_lost_to_a_slow_or_broken_server_or_to_an_update(reporter):
    someone = reporter()
    page = someone.page
    seen = []

    def unreliable(route):
        """The first save never arrives; the second is kept, but nobody is told; then all goes well."""
        if route.request.method != "PUT" or len(seen) >= 2:
            return route.continue_()
        seen.append(route.request.post_data_json["text"])
        if len(seen) == 2:
            route.fetch()
        return route.abort()

    page.route("**/report/**", unreliable)
    write(page, "FINDINGS\nOne.\n")
    page.wait_for_selector("#rr-report-problem >> text=the server does not answer", timeout=SLOW_MS)
    says(page, "Not saved yet")
    someone.shot("report-not-saved-yet")
    says(page, "Saved")
    assert page.inner_text("#rr-report-problem") == ""
    page.wait_for_selector("#rr-report-checked >> text=One.", timeout=SLOW_MS)

    held = threading.Event()

    def slow(route):
        if route.request.method == "PUT" and not held.is_set():
            held.set()
            page.keyboard.type("Three.")  # while the first answer is on its way
        route.continue_()

    page.unroute("**/report/**")
    page.route("**/report/**", slow)
    page.focus(BOX)
    page.keyboard.press("Control+End")
    page.keyboard.type("Two.")
    page.wait_for_selector("#rr-report-checked >> text=Three.", timeout=SLOW_MS)
    page.unroute("**/report/**")
    page.keyboard.type(" Four.")
    page.click("#rr-export")  # the page is shown anew with what was exported: the text stays
    page.keyboard.type("")
    page.wait_for_selector("#rr-report-told a", timeout=SLOW_MS)
    assert page.input_value(BOX) == "FINDINGS\nOne.\nTwo.Three. Four."
    says(page, "Saved")
