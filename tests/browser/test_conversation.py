"""The conversation in a real browser over real tools: decide, follow, come back, run again; two tabs on one reading."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing

import pytest

from tests.browser.conftest import free_port, violations
from tests.reading_server import reading_server
from tests.writing_endpoint import WRONG, writer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SLOW_MS = 120_000
REQUEST = "Segment the lungs, measure them and draft a report."


class Server:
    """The page's server, which a test may pull the plug of."""

    def __init__(self, folder, env=None):
        self.folder, self.port, self.env, self._stack = folder, free_port(), env, ExitStack()
        self.start()

    def start(self):
        self.address = self._stack.enter_context(reading_server(self.folder, self.port, self.env))

    def close(self):
        self._stack.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = Server(tmp_path_factory.mktemp("reading"))
    yield served
    served.close()


@pytest.fixture
def person(visit, server, ct):
    """Somebody who has attached a chest CT and asked for the plan."""

    def come(request=REQUEST, at=server):
        someone = visit(at.address)
        someone.page.set_input_files("#rr-uploads input[type=file]", str(ct))
        someone.page.wait_for_selector("#rr-side >> text=ready to attach")
        someone.ask(request)
        someone.page.wait_for_selector("#rr-approve", timeout=SLOW_MS)
        return someone

    return come


def results(page, count=1):
    page.wait_for_function(f"document.querySelectorAll('#rr-talk .rr-results').length === {count}", timeout=SLOW_MS)


def open_tab(page, name):
    page.click(f'#rr-tabs button[role=tab]:has-text("{name}")')


def test_a_plan_is_shown_with_its_cost_then_run_and_its_evidence_shown(person):
    someone = person()
    page = someone.page
    pause = page.inner_text(".rr-pause")
    assert "Nothing of it has run yet" in pause
    assert "ct-chest-threshold" in pause
    assert page.locator(".rr-graph .rr-node-waiting").count() == 3
    someone.shot("waiting-for-approval")
    page.click("#rr-approve")
    results(page)
    assert page.locator(".rr-graph .rr-node-done").count() == 3
    page.evaluate("window.seen = []; readingroom.on('show', (what) => seen.push(what))")
    page.locator("#rr-talk .rr-sentence:has-text('Volume of the lungs') button.rr-id").first.click()
    shown = page.evaluate("seen[seen.length - 1]")
    assert shown["volume"] == "img1"
    assert shown["mask"] == "s1/lungs"
    assert len(shown["world"]) == 3
    open_tab(page, "Evidence")
    page.hover("#rr-evidence .rr-sentence:has-text('Volume of the lungs')")
    assert page.locator("#rr-evidence .rr-card.rr-lit").get_attribute("data-source") == "s2"
    page.mouse.move(1, 1)
    page.focus('#rr-evidence .rr-card[data-source="s1"]')
    lit = page.locator("#rr-evidence .rr-sentence.rr-lit").all_inner_texts()
    assert lit
    assert all("s1" in sentence for sentence in lit)
    someone.shot("evidence")
    open_tab(page, "Measurements")
    assert "NIfTI header" in page.inner_text("#rr-measurements")
    assert someone.errors == []


def checked(page, words):
    page.wait_for_selector(f"#rr-plan-checked >> text={words}", timeout=SLOW_MS)


def test_a_changed_plan_is_checked_while_it_is_written_and_runs_as_changed(person):
    someone = person()
    page = someone.page
    page.click("#rr-edit")
    checked(page, "It can run: 3 steps")
    page.fill("#rr-plan-s1-targets", "")
    page.wait_for_selector("#rr-plan-s1-targets-problem >> text=This is needed", timeout=SLOW_MS)
    assert page.get_attribute("#rr-plan-s1-targets", "aria-invalid") == "true"
    checked(page, "targets")
    someone.shot("plan-editor-wrong")
    page.click("#rr-run-edited")  # refused with the reason; what is written stays
    page.wait_for_selector("#rr-plan-problem .rr-problem", timeout=SLOW_MS)
    page.fill("#rr-plan-s1-targets", "lung_left, lung_right")
    checked(page, "It can run: 3 steps")
    assert not page.is_visible("#rr-plan-problem .rr-problem")
    assert page.is_disabled("#rr-plan-s1-up")
    assert page.get_attribute("#rr-plan-s1-up", "title") == "It is the first step"
    page.focus("#rr-plan-s3-remove")
    page.keyboard.press("Enter")
    checked(page, "It can run: 2 steps")
    page.select_option("#rr-plan-add", "describe")
    checked(page, "It can run: 3 steps")
    assert page.input_value("#rr-plan-s4-image") == "@img1"
    page.focus("#rr-plan-s4-up")
    page.keyboard.press("Enter")
    assert page.locator("#rr-plan-fields legend").all_inner_texts() == ["s1", "s4", "s2"]
    assert page.evaluate("document.activeElement.id") == "rr-plan-s4-up"
    assert page.is_checked("#rr-plan-fields input[value=volume]")
    page.uncheck("#rr-plan-fields input[value=intensity]")
    someone.shot("plan-editor")
    assert violations(page, "#rr-main") == []
    page.click("#rr-plan-json")
    written = page.input_value("#rr-plan-text textarea")
    assert '"targets":["lung_left","lung_right"]' in written
    assert '"quantities":["volume"]' in written
    page.fill("#rr-plan-text textarea", written.replace('"segment"', '"segmant"'))
    checked(page, "no tool named 'segmant'")
    page.fill("#rr-plan-text textarea", written[:-1])
    checked(page, "This is no JSON")
    page.fill("#rr-plan-text textarea", written)
    checked(page, "It can run: 3 steps")
    page.click("#rr-plan-json")
    page.click("#rr-run-edited")
    results(page)
    assert page.locator(".rr-graph .rr-node").count() == 3
    assert "Volume of the left lung" in page.inner_text("#rr-talk")
    assert page.locator("#rr-plan-fields").count() == 0 or page.inner_text("#rr-plan-fields") == ""
    assert someone.errors == []


def test_a_rejected_plan_with_a_comment_is_planned_anew(person):
    page = person().page
    page.fill("#rr-comment textarea", "only the outline")
    page.click("#rr-reject")
    page.wait_for_function("document.querySelectorAll('.rr-pause-steps li').length === 1", timeout=SLOW_MS)
    page.click("#rr-reject")
    page.wait_for_selector("#rr-talk >> text=The plan was rejected, so nothing was run", timeout=SLOW_MS)


def test_a_step_runs_again_with_another_model_and_what_was_built_on_it(person):
    someone = person()
    page = someone.page
    page.click("#rr-approve")
    results(page)
    assert "not-installed: needs extra" in page.inner_text("#rr-again-why")  # what cannot be chosen says why
    page.click("#rr-again-model input")
    page.click("[role=option]:has-text('second-opinion')")
    page.click("#rr-again-run")
    results(page, 2)
    assert "with second-opinion" in page.inner_text("#rr-talk")
    nodes = page.locator(".rr-graph .rr-node-id").all_text_contents()
    assert nodes == ["s4", "s5", "s6"]


def test_a_reload_and_a_second_tab_show_the_same_and_only_one_decides(person):
    someone = person()
    page = someone.page
    other = someone.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("#rr-approve", timeout=SLOW_MS)
    page.click("#rr-approve")
    other.evaluate("document.querySelector('#rr-reject').click()")
    for tab in (page, other):
        results(tab)
        assert "Volume of the lungs" in tab.inner_text("#rr-talk")
    page.reload()
    results(page)
    shown = [re.sub(r"\s+", " ", tab.inner_text("#rr-history .rr-turn")) for tab in (page, other)]
    assert shown[0] == shown[1]


def test_somebody_else_does_not_see_the_reading(person, visit, server):
    someone = person()
    stranger = visit(someone.page.url)
    stranger.page.wait_for_timeout(1500)
    assert REQUEST not in stranger.page.inner_text("#rr-talk")


def test_a_run_goes_on_while_its_page_is_closed_then_is_stopped(person):
    someone = person("Please linger.")
    page = someone.page
    page.click("#rr-approve")
    page.wait_for_selector("#rr-talk .rr-running", timeout=SLOW_MS)
    address = page.url
    page.close()
    page = someone.context.new_page()
    page.goto(address)
    page.wait_for_selector("#rr-talk .rr-running .rr-bar", timeout=SLOW_MS)
    page.click("#rr-stop")
    page.wait_for_selector("#rr-talk >> text=Stopped by you", timeout=SLOW_MS)
    page.click("#rr-go-on")
    results(page)


def test_a_killed_server_loses_nothing_and_goes_on_where_it_stopped(person, server):
    someone = person("Please linger.")
    page = someone.page
    page.click("#rr-approve")
    page.wait_for_selector("#rr-talk .rr-running", timeout=SLOW_MS)
    server.close()
    server.start()
    page.reload()
    page.wait_for_selector("#rr-talk >> text=Cut off", timeout=SLOW_MS)
    someone.shot("cut-off")
    page.click("#rr-go-on")
    results(page)
    assert "chest.nii.gz" in page.inner_text("#rr-talk")


def test_what_a_language_model_writes_is_seen_as_unchecked_then_only_what_holds(person, tmp_path):
    with writer() as model, closing(Server(tmp_path, model.settings())) as server:
        someone = person(at=server)
        page = someone.page
        page.click("#rr-approve")
        page.wait_for_selector(".rr-writing >> text=The lungs have a volume of", timeout=SLOW_MS)
        page.wait_for_selector(".rr-writing >> text=not yet checked", timeout=SLOW_MS)
        someone.shot("being-written")
        page.reload()
        page.wait_for_selector(".rr-writing >> text=The lungs have a volume of", timeout=SLOW_MS)
        model.go_on.set()
        results(page)
        assert page.locator(".rr-writing").count() == 0
        assert WRONG in page.inner_text("#rr-talk .rr-held")
        open_tab(page, "Report")
        page.wait_for_selector("#rr-report-checked .rr-supported", timeout=SLOW_MS)
        drafted = page.input_value("#rr-report-text textarea")
        assert "The lungs have a volume of" in drafted
        assert WRONG not in drafted

        model.go_on.clear()
        someone.ask("The lungs once more.")
        page.click("#rr-approve", timeout=SLOW_MS)
        page.wait_for_selector(".rr-writing >> text=The lungs have a volume of", timeout=SLOW_MS)
        page.click("#rr-stop")
        page.wait_for_selector("#rr-talk >> text=Stopped by you", timeout=SLOW_MS)
        assert page.locator(".rr-writing").count() == 0
