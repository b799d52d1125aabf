"""What Chromium holds of a reading whose headers and file names are full of a patient: every tab, every answer."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.agent.llm.test_canary import leaks
from tests.browser.test_conversation import REQUEST, SLOW_MS, Server, open_tab, results
from tests.ui.test_canary_page import own, study

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
TABS = ("Plan", "Evidence", "Measurements", "Report", "Files")


def test_the_page_of_a_reading_holds_nothing_of_the_patient_but_the_name_of_the_file(visit, tmp_path):
    (served := tmp_path / "served").mkdir()
    with closing(Server(served)) as server:
        someone = visit(server.address)
        page = someone.page
        page.set_input_files("#rr-uploads input[type=file]", str(study(tmp_path)))
        page.wait_for_selector('#rr-stage[data-open="new1"]', timeout=SLOW_MS)
        someone.ask(REQUEST)
        page.wait_for_selector("#rr-approve", timeout=SLOW_MS)
        page.click("#rr-approve")
        results(page)
        page.wait_for_selector('#rr-stage[data-open="img1"]', timeout=SLOW_MS)
        for tab in TABS:
            open_tab(page, tab)
            page.wait_for_selector(f'#rr-tabs button[aria-selected="true"]:has-text("{tab}")')
        page.wait_for_function("document.getElementById('rr-report-box')?.value.includes('Volume of the lungs')")
        boxes = page.evaluate("[...document.querySelectorAll('textarea, input')].map((box) => box.value)")
        held = [page.content(), *boxes]
        assert leaks(held[0]), "the file's own name is shown to who brought it"
        assert "Volume of the lungs" in held[0]
        assert [leaks(own(text)) for text in held] == [[]] * len(held)
