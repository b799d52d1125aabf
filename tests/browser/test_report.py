"""The report in a real browser: edited until a sentence is contradicted, exported, reloaded."""

from __future__ import annotations

import pytest
from docx import Document

from tests.browser.test_conversation import SLOW_MS, ct, open_tab, person, results, server  # noqa: F401  fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_report_is_edited_checked_exported_and_kept(person):  # noqa: F811
    someone = person()
    page = someone.page
    page.click("#rr-approve")
    results(page)
    open_tab(page, "Report")
    page.wait_for_selector("#rr-report-checked .rr-supported")
    assert page.locator("#rr-report-checked .rr-contradicted").count() == 0
    box = page.locator("#rr-report-text textarea")
    box.fill(box.input_value().replace("FINDINGS\n", "FINDINGS\nThe lungs have a volume of 9.9 l.\n"))
    page.wait_for_selector("#rr-report-checked .rr-contradicted", timeout=10_000)
    wrong = page.inner_text("#rr-report-checked .rr-contradicted")
    assert "✕ contradicted" in wrong
    assert "by a person" in wrong
    page.click("#rr-report-checked summary")
    assert "+ added" in page.inner_text("#rr-report-checked .rr-changes")
    someone.shot("report-contradicted")
    page.click("#rr-format input")
    page.click("[role=option]:has-text('Word')")
    page.click("#rr-export")
    page.wait_for_selector("#rr-report-told a", timeout=SLOW_MS)
    with page.expect_download() as download:
        page.click("#rr-report-told a")
    text = "\n".join(p.text for p in Document(download.value.path()).paragraphs)
    assert "The lungs have a volume of 9.9 l. [by a person, not verified: the evidence contradicts it]" in text
    assert "Research use only" in text
    page.reload()
    results(page)
    open_tab(page, "Report")
    page.wait_for_selector("#rr-report-checked .rr-contradicted")
    assert "9.9 l" in box.input_value()
    assert someone.errors == []


def test_two_tabs_do_not_overwrite_each_other(person):  # noqa: F811
    someone = person()
    page = someone.page
    page.click("#rr-approve")
    results(page)
    other = someone.context.new_page()
    other.goto(page.url)
    results(other)
    for tab in (page, other):
        open_tab(tab, "Report")
        tab.wait_for_selector("#rr-report-checked .rr-supported")
    page.fill("#rr-report-text textarea", "FINDINGS\nFirst.\n")
    page.wait_for_selector("#rr-report-checked >> text=First.")
    other.fill("#rr-report-text textarea", "FINDINGS\nSecond.\n")
    other.wait_for_selector("#rr-report-told >> text=changed in another tab")
    other.click("#rr-report-take-over")
    other.wait_for_function("document.querySelector('#rr-report-text textarea').value.includes('First.')")
