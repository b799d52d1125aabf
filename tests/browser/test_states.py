"""What people meet, each as a browser shows it, light and dark: what it is and what to do is said, axe-core finds
nothing wrong, a control that cannot be used says why. Pictures of each are kept among the build's output."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.browser.conftest import free_port, unexplained, violations
from tests.reading_server import reading_server
from tests.writing_endpoint import PLAN, writer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SLOW_MS = 120_000


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    with reading_server(folder, free_port(), {"READINGROOM_APPROVAL": "auto"}) as found:
        yield SimpleNamespace(address=found, folder=folder)


@pytest.fixture
def address(home):
    return home.address


@pytest.fixture
def come(visit, address, ct):
    """Somebody who has attached a chest CT."""

    def with_image(at=address):
        someone = visit(at)
        someone.page.set_input_files("#rr-uploads input[type=file]", str(ct))
        someone.page.wait_for_selector("#rr-side >> text=ready to attach", timeout=SLOW_MS)
        return someone

    return with_image


def check(person, state):
    """Look at a state, light then dark: keep its picture; all is readable, and what cannot be used says why."""
    for scheme, name in (("light", state), ("dark", f"{state}-dark")):
        person.page.emulate_media(color_scheme=scheme)
        person.page.wait_for_function("d => document.body.classList.contains('dark') === d", arg=scheme == "dark")
        person.shot(name)
        assert violations(person.page) == [], name
    person.page.emulate_media(color_scheme="light")
    assert unexplained(person.page) == []


def test_nothing_yet(visit, address):
    person = visit(address)
    for tab in ("Plan", "Evidence", "Measurements", "Report", "Files"):
        person.page.get_by_role("tab", name=tab, exact=True).click()
        person.page.wait_for_selector("#rr-tabs .rr-nothing:visible")
    check(person, "state-empty")


def test_loading_says_what_is_opened_until_it_is_there(visit, address, ct):
    person = visit(address)
    page, held = person.page, []

    def hold(asked):  # Playwright looks at how many arguments it takes
        held.append(asked)

    page.route("**/volume.nii", hold)
    page.set_input_files("#rr-uploads input[type=file]", str(ct))
    page.wait_for_selector("#rr-side >> text=ready to attach", timeout=SLOW_MS)
    page.wait_for_selector(".rv-first")  # one slice of the server is there to look at meanwhile
    assert page.inner_text(".rv-said") == "Opening chest.nii.gz …"
    assert page.locator(".rv-said").get_attribute("role") == "status"
    page.wait_for_function("document.querySelectorAll('#rr-study img').length === 1")
    check(person, "state-loading")
    assert len(held) == 1
    held[0].continue_()
    page.wait_for_selector('#rr-stage[data-open="new1"]')
    assert not page.is_visible(".rv-said")
    assert page.locator(".rv-first").count() == 0
    assert person.errors == []


def test_an_image_that_cannot_be_fetched_says_so_and_can_be_opened_again(visit, address, ct):
    person = visit(address)
    page = person.page
    page.route("**/volume.nii", lambda asked: asked.fulfill(status=507, json={"detail": "the disk is full"}))
    page.set_input_files("#rr-uploads input[type=file]", str(ct))
    page.wait_for_selector(".rv-said >> text=chest.nii.gz cannot be shown: the disk is full", timeout=SLOW_MS)
    check(person, "state-not-loaded")
    page.unroute("**/volume.nii")
    page.click("#rr-study .rr-thumb")
    page.wait_for_selector('#rr-stage[data-open="new1"]')
    assert not page.is_visible(".rv-said")


def test_running_says_how_far_it_is(come):
    person = come()
    person.ask("Please linger.")
    person.page.wait_for_selector("#rr-talk .rr-running .rr-bar", timeout=SLOW_MS)
    check(person, "state-running")
    person.page.get_by_role("tab", name="Report", exact=True).click()
    person.page.wait_for_selector("text=A run goes on.")
    person.page.click("#rr-stop")
    person.page.wait_for_selector("#rr-talk >> text=Stopped by you", timeout=SLOW_MS)
    check(person, "state-stopped")


def test_who_waits_in_line_sees_the_place(come):
    going = [come() for _ in range(2)]
    for person in going:
        person.ask("Please linger.")
        person.page.wait_for_selector("#rr-talk .rr-running", timeout=SLOW_MS)
    third, fourth = come(), come()
    third.ask("Please linger.")
    third.page.wait_for_selector("#rr-talk >> text=yours is next", timeout=SLOW_MS)
    fourth.ask("Please linger.")
    fourth.page.wait_for_selector("#rr-talk >> text=2 runs are before yours", timeout=SLOW_MS)
    check(fourth, "state-in-line")
    for person in (fourth, third, *going):
        person.page.click("#rr-stop")
        person.page.wait_for_selector("#rr-talk >> text=Stopped by you", timeout=SLOW_MS)


def test_a_part_that_failed_is_shown_beside_the_rest(come):
    person = come()
    person.ask("Measure spleen and lungs.")
    person.page.wait_for_selector("#rr-talk .rr-partial", timeout=SLOW_MS)
    talk = person.page.locator("#rr-talk").text_content()
    assert "2 steps gave no result" in talk
    assert "Not available here" in talk
    assert "readingroom models get" in talk  # the command
    assert "Volume of the lungs" in talk
    person.page.evaluate("document.querySelector('.rr-partial').scrollIntoView()")
    check(person, "state-partial-failure")


def test_a_tool_that_is_not_there_says_what_is_missing_and_the_command(come):
    person = come()
    person.ask("Measure the spleen.")
    person.page.wait_for_selector("#rr-talk .rr-results", timeout=SLOW_MS)
    talk = person.page.inner_text("#rr-talk")
    assert "needs weights" in talk
    assert "readingroom models get" in talk
    check(person, "state-tool-unavailable")


def test_a_full_disk_says_what_to_do(come):
    person = come()
    person.ask("Please fill the disk.")
    person.page.wait_for_selector("#rr-talk .rr-partial >> text=The disk is full", timeout=SLOW_MS)
    assert "free some space" in person.page.inner_text("#rr-talk")
    check(person, "state-disk-full")


def test_an_upload_to_a_full_disk_is_refused_in_words_and_the_reading_stays(come, home, ct):
    person = come()
    page = person.page
    person.ask("Measure the lungs.")
    page.wait_for_selector("#rr-talk .rr-results >> text=Volume of the lungs", timeout=SLOW_MS)
    page.fill("#rr-request textarea", "And what else?")
    (home.folder / "disk-full").touch()
    page.set_input_files("#rr-uploads input[type=file]", str(ct))
    page.wait_for_selector("#rr-refused >> text=the disk with the uploads has no room", timeout=SLOW_MS)
    assert "free some space and upload again" in page.inner_text("#rr-refused")
    page.wait_for_selector(".toast-body")
    page.wait_for_timeout(300)  # it slides in
    check(person, "state-disk-full-on-upload")
    assert "chest.nii.gz" in page.inner_text("#rr-study")
    assert page.input_value("#rr-request textarea") == "And what else?"
    assert page.get_attribute("#rr-stage", "data-open") == "img1"
    page.reload()
    page.wait_for_selector("#rr-talk .rr-results >> text=Volume of the lungs", timeout=SLOW_MS)
    (home.folder / "disk-full").unlink()
    page.set_input_files("#rr-uploads input[type=file]", str(ct))
    page.wait_for_selector("#rr-side >> text=ready to attach", timeout=SLOW_MS)
    assert page.locator("#rr-refused").count() == 0
    assert person.errors == []


def test_a_file_that_is_refused_says_why_and_the_fix(visit, address, tmp_path):
    wrong = tmp_path / "scan.dcm"
    wrong.write_text("no image", encoding="utf-8")
    person = visit(address)
    person.page.set_input_files("#rr-uploads input[type=file]", str(wrong))
    person.page.wait_for_selector("#rr-study .rr-bad >> text=is not DICOM", timeout=SLOW_MS)
    check(person, "state-file-refused")


def test_a_language_model_that_does_not_answer(come, tmp_path):
    dead = {
        "READINGROOM_LLM_BASE_URL": "http://127.0.0.1:9/v1",
        "READINGROOM_LLM_MODEL": "gone",
        "READINGROOM_PLAN_BY": "llm",
    }
    with reading_server(tmp_path, free_port(), dead, planner="own") as address:
        person = come(address)
        person.ask("What would be worth a second look here, and why?")
        person.page.wait_for_selector("#rr-talk >> text=The language model does not answer", timeout=SLOW_MS)
        talk = person.page.inner_text("#rr-talk")
        assert "127.0.0.1:9" in talk
        assert "in the tab Settings" in talk
        check(person, "state-llm-unreachable")


def test_a_plan_that_is_being_written(come, tmp_path):
    with writer() as model:
        model.plan = PLAN
        given = model.settings() | {"READINGROOM_PLAN_BY": "llm"}
        with reading_server(tmp_path, free_port(), given, planner="own") as address:
            person = come(address)
            page = person.page
            person.ask("What would be worth a second look here, and why?")
            page.wait_for_selector("#rr-talk .rr-writing >> text=segment", timeout=SLOW_MS)
            page.reload()
            page.wait_for_selector("#rr-talk .rr-writing >> text=segment", timeout=SLOW_MS)
            talk = page.inner_text("#rr-talk")
            assert "Planning with writer" in talk
            assert "not yet checked" in talk.lower()
            assert page.locator(".rr-writing li").all_inner_texts() == ["segment"]
            assert page.locator(".rr-graph .rr-node").count() == 0  # nothing of it is a plan yet
            check(person, "state-plan-being-written")
            model.go_on.set()
            page.wait_for_selector("#rr-approve", timeout=SLOW_MS)
            assert page.locator(".rr-writing").count() == 0
            assert page.locator(".rr-graph .rr-node").count() == 2


def test_a_plan_that_waits(come, tmp_path):
    with reading_server(tmp_path, free_port()) as address:
        person = come(address)
        person.ask("Measure the lungs.")
        person.page.wait_for_selector("#rr-approve", timeout=SLOW_MS)
        check(person, "state-waiting-for-approval")
