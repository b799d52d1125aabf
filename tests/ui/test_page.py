"""What the page's events do, as values."""

from pathlib import Path

from agent.settings import Settings
from tests.fake_assistant import FakeAssistant
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.samples import SAMPLES, Sample
from ui.shelf import Shelf
from ui.uploads import Brought
from ui.view import RunView


def _page(assistant=None):
    return Page(assistant or FakeAssistant(), Shelf())


async def _asked(page, state, request="Segment the lungs.", attaches=()):
    from dataclasses import replace

    state = replace(state, asked=request, attaches=tuple(attaches))
    state, view = [step async for step in page.ask(state)][-1]
    return replace(state, turns=(*state.turns, view)), view


async def test_a_follow_up_stays_in_its_reading_and_attaches_nothing_again(ct):
    assistant = FakeAssistant()
    page = _page(assistant)
    study = page.take_uploads(StudyState(), [str(ct)])
    assert study.brought[0].problem  # the phantom is no image: it is not attached
    study = StudyState(brought=(Brought(ct, ct.name),))
    state, _ = await _asked(page, PageState(), attaches=page.attachments(study, ANY_MODALITY, None))
    state, _ = await _asked(page, state, "And the left one?")
    first, second = assistant.calls
    assert first["reading"] == second["reading"] == state.reading
    assert len(first["attachments"]) == 1
    assert second["attachments"] == []
    assert [(a.name, a.facts.id) for a in state.attached] == [("ct.nii.gz", "img1")]


def test_modality_and_series_go_with_the_attachments(ct):
    choices = ("1: CT, 20 images, axial", "2: CT, 30 images, lung")
    study = StudyState(brought=(Brought(ct, "12 DICOM files", choices), Brought(ct.parent / "x.png", "x.png")))
    series, picture = _page().attachments(study, "MR", choices[1])
    assert (series.series, series.modality) == ("2", "MR")
    assert (picture.series, picture.modality) == (None, "MR")


def test_unreadable_files_are_shown_and_not_attached(tmp_path):
    text = tmp_path / "renamed.dcm"
    text.write_text("no image", encoding="utf-8")
    page = _page()
    study = page.take_uploads(StudyState(), [str(text)])
    assert "is named .dcm but is not DICOM" in study.brought[0].problem
    assert "rr-bad" in page.study_html(study, PageState())
    assert page.attachments(study, ANY_MODALITY, None) == ()


def test_a_sample_is_attached_once_with_its_modality(tmp_path, monkeypatch):
    from ui import page as page_module

    path = tmp_path / "t1.nii.gz"
    monkeypatch.setattr(page_module, "sample_path", lambda assets, sample: path)
    page, sample = _page(), Sample("Brain MR, T1", "brain-t1", "t1.nii.gz", "MR")
    study = page.take_sample(page.take_sample(StudyState(), sample), sample)
    (attached,) = page.attachments(study, ANY_MODALITY, None)
    assert (attached.path, attached.modality) == (path, "MR")
    study = page.take_uploads(study, [])  # a change of the uploads keeps the sample
    assert len(study.brought) == 1


def test_every_sample_of_the_page_is_in_the_catalogue():
    from knowledge.assets import load_catalogue

    for sample in SAMPLES:
        assert sample.member in load_catalogue()[sample.asset].members


async def test_two_tabs_never_share_a_reading_or_a_file():
    assistant, shelf = FakeAssistant(), Shelf()
    page = Page(assistant, shelf)
    first, one = await _asked(page, PageState(), "canary one")
    second, two = await _asked(page, PageState(), "canary two")
    assert first.reading != second.reading
    html_one, html_two = page.history_html(first), page.history_html(second)
    assert "canary one" in html_one
    assert "canary two" not in html_one
    assert set(_addresses(html_one)).isdisjoint(_addresses(html_two))
    page.leave(first)
    assert all(shelf.get(a.split("/")[2]) is None for a in _addresses(html_one))
    assert all(shelf.get(a.split("/")[2]) is not None for a in _addresses(html_two))
    assert one.answer is not None
    assert two.answer is not None


def _addresses(html):
    return [part.split('"')[0] for part in html.split('href="')[1:]]


async def test_a_closed_tab_stops_its_run():
    assistant = FakeAssistant(step_seconds=5)
    run = _page(assistant).ask(PageState(asked="Segment the lungs."))
    await anext(run)
    await run.aclose()
    assert {"cancel": assistant.calls[0]["reading"]} in assistant.calls


async def test_stop_cancels_and_keeps_the_reading():
    assistant = FakeAssistant(step_seconds=1)
    page, seen = _page(assistant), []
    async for state, view in page.ask(PageState(asked="Segment the lungs.")):
        seen.append(view)
        if view.steps and view.steps[0].state == "running":
            page.stop(state)
    assert "cancelled" in seen[-1].failed.message
    assert assistant.workspace(seen[-1].reading).root.is_dir()


async def test_a_waiting_plan_runs_after_approval():
    assistant = FakeAssistant(waits=1)
    page = _page(assistant)
    state, view = await _asked(page, PageState())
    assert view.answer.outcome == "waiting"
    _, view = [step async for step in page.decide(state, approve=True)][-1]
    assert assistant.decisions == ["approve"]
    assert view.answer.outcome == "answered"


async def test_errors_and_failed_readings_are_shown():
    from agent.errors import RunError

    page = _page(FakeAssistant(raises=RunError("the disk is full: free some space and resume")))
    state, view = await _asked(page, PageState())
    assert view.failed is not None
    assert "the disk is full" in page.history_html(state)


def test_an_empty_page_says_what_to_do():
    assert "Attach an image or take a sample case" in _page().history_html(PageState())
    assert _page().results(RunView(request="x")) == ""


def test_leaving_before_asking_is_no_error():
    _page().leave(PageState())
    assert Settings().readings_dir == Path(Settings().readings_dir)
