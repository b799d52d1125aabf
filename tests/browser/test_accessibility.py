"""axe-core over every state of the page, in light and dark.

axe-core 4.14.1 (MPL-2.0) lies in tests/browser/axe, unchanged.
"""

from __future__ import annotations

import pytest

from tests.browser.conftest import violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TABS = ("Plan", "Evidence", "Measurements", "Report", "Files", "Settings")


@pytest.fixture(scope="module")
def server(serve):
    return serve(step_seconds=0.2)


@pytest.fixture(scope="module")
def waiting_server(serve):
    return serve(waits=1)


AROUND = """() => { const { x, y, width, height } = document.activeElement.getBoundingClientRect();
    const [left, top] = [Math.max(0, x - 16), Math.max(0, y - 16)];
    return {x: left, y: top, width: Math.min(innerWidth, x + width + 16) - left,
        height: Math.min(innerHeight, y + height + 16) - top}; }"""


def test_where_the_focus_is_is_seen_at_every_stop_of_the_tab_key(server, visit):
    page = visit(server.address).page
    unseen, stops = [], 0
    while True:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        stops += 1
        name = page.evaluate("(e => e.id || e.ariaLabel || e.textContent)(document.activeElement)")
        clip = page.evaluate(AROUND)
        focused = page.screenshot(clip=clip, caret="hide")
        page.evaluate("window.kept = document.activeElement; window.kept.blur()")
        if page.screenshot(clip=clip, caret="hide") == focused:
            unseen.append(name)
        page.evaluate("window.kept.focus()")
    assert stops > 12
    assert unseen == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_state_of_the_page_breaks_wcag_aa(server, visit, dark):
    person, look = visit(server.address, dark=dark), "dark" if dark else "light"
    problems = {}

    def check(state):
        person.shot(f"{state}-{look}")
        problems[state] = violations(person.page)

    check("empty")
    person.ask("Segment the lungs and draft a report.")
    person.page.wait_for_selector(".rr-running")
    check("running")
    person.answered()
    for tab in TABS:
        person.page.get_by_role("tab", name=tab, exact=True).click()
        person.page.wait_for_timeout(150)
        check(f"answered-{tab.lower()}")
    assert {state: found for state, found in problems.items() if found} == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_waiting_plan_breaks_nothing(waiting_server, visit, dark):
    person = visit(waiting_server.address, dark=dark)
    waiting_server.restart()  # each run of the story waits once
    person.page.goto(waiting_server.address)
    person.page.wait_for_selector("#rr-ask")
    person.ask("Export everything.")
    person.page.wait_for_selector("#rr-decision")
    person.shot(f"waiting-{'dark' if dark else 'light'}")
    assert violations(person.page) == []


def test_the_sign_in_page_breaks_nothing(serve, visit, tmp_path):
    from ui.access.passwords import put

    put(tmp_path / "users", "anna", "correct horse battery")
    server = serve(password_file=tmp_path / "users")
    for dark in (False, True):
        person = visit(server.address, dark=dark, ready="text=Sign in")
        person.shot(f"sign-in-{'dark' if dark else 'light'}")
        assert violations(person.page) == []
    person.page.fill("input[name=username]", "anna")
    person.page.fill("input[name=password]", "wrong password")
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector("text=Name or password is wrong.")
    person.page.fill("input[name=username]", "anna")
    person.page.fill("input[name=password]", "correct horse battery")
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector("#rr-ask")
