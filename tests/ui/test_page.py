"""What the page's events do, as values."""

import re
import shutil
from dataclasses import replace

import pytest

from agent.attach import Attach
from agent.errors import ReadingError, RunError
from tests.fake_assistant import FakeAssistant
from tools.imaging.series import SeriesInfo
from ui.choosing import with_brought
from ui.components.states import can_go_on
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.samples import SAMPLES, Sample
from ui.shelf import Shelf
from ui.streaming import views
from ui.uploads import Brought


def _page(assistant=None):
    return Page(assistant or FakeAssistant(), Shelf())


def _attaches(page, study, modality=ANY_MODALITY):
    return page.asked(PageState(), "x", study, modality).attaches


async def _asked(page, state, request="Segment the lungs.", attaches=()):
    return await _seen(page, page.ask(replace(state, asked=request, attaches=tuple(attaches))))


async def _seen(page, state):
    view = [view async for view in views(page.run_of(state))][-1]
    return page.ended(state, view), view


async def test_a_follow_up_stays_in_its_reading_and_attaches_nothing_again(ct):
    assistant = FakeAssistant()
    page = _page(assistant)
    study = page.take_uploads(StudyState(), [str(ct)])
    assert study.brought[0].problem  # the phantom is no image: it is not attached
    study = StudyState(brought=(Brought(ct, ct.name),))
    state, _ = await _asked(page, PageState(), attaches=_attaches(page, study))
    state, _ = await _asked(page, state, "And the left one?")
    first, second = assistant.calls
    assert first["reading"] == second["reading"] == state.reading
    assert len(first["attachments"]) == 1
    assert second["attachments"] == []
    assert [(a.name, a.facts.id) for a in state.attached] == [("ct.nii.gz", "img1")]


def test_modality_and_series_go_with_the_attachments(ct):
    found = tuple(SeriesInfo(str(n), n, "axial", "", "", 20) for n in (1, 2))
    brought = (Brought(ct, "12 DICOM files", found), Brought(ct.parent / "x.png", "x.png"))
    study = StudyState(brought=brought, chosen=((str(ct), 2),))
    series, picture = _attaches(_page(), study, "MR")
    assert (series.series, series.modality) == ("2", "MR")
    assert (picture.series, picture.modality) == (None, "MR")


def test_unreadable_files_are_shown_and_not_attached(tmp_path):
    text = tmp_path / "renamed.dcm"
    text.write_text("no image", encoding="utf-8")
    page = _page()
    study = page.take_uploads(StudyState(), [str(text)])
    assert "is named .dcm but is not DICOM" in study.brought[0].problem
    assert "rr-bad" in page.brought_html(study, PageState())
    assert _attaches(page, study) == ()


def test_a_sample_is_attached_once_with_its_modality(tmp_path, monkeypatch):
    from ui import page as page_module

    path = tmp_path / "t1.nii.gz"
    monkeypatch.setattr(page_module, "sample_path", lambda assets, sample: path)
    page, sample = _page(), Sample("Brain MR, T1", "brain-t1", "t1.nii.gz", "MR")
    study = page.take_sample(page.take_sample(StudyState(), sample), sample)
    (attached,) = _attaches(page, study)
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
    first, _ = await _asked(page, PageState(), "canary one")
    second, _ = await _asked(page, PageState(), "canary two")
    assert first.reading != second.reading
    assert "canary one" in page.history_html(first)
    assert "canary two" not in page.history_html(first)
    one, two = _addresses(page.files_html(first)), _addresses(page.files_html(second))
    assert one
    assert set(one).isdisjoint(two)


def _addresses(html):
    return [part.split('"')[0] for part in html.split('href="')[1:]]


async def test_stop_cancels_and_keeps_the_reading():
    assistant = FakeAssistant(step_seconds=1)
    page, seen = _page(assistant), []
    state = page.ask(PageState(asked="Segment the lungs."))
    async for view in views(page.run_of(state)):
        seen.append(view)
        if view.steps and view.steps[0].state == "running":
            page.stop(state)
    assert "cancelled" in seen[-1].failed.message
    assert assistant.workspace(seen[-1].reading).root.is_dir()
    html = page.history_html(page.ended(state, seen[-1]))
    assert "Stopped by you" in html


async def test_a_waiting_plan_is_shown_and_runs_after_approval():
    assistant = FakeAssistant(waits=1)
    page = _page(assistant)
    state, view = await _asked(page, PageState())
    assert view.answer.outcome == "waiting"
    html = page.history_html(state)
    assert "every plan is shown before it runs" in html
    assert "About 14 s to run" in html
    state, view = await _seen(page, page.decide(state, "approve"))
    assert assistant.decisions == ["approve"]
    assert view.answer.outcome == "answered"
    assert len(state.turns) == 1


async def test_two_tabs_cannot_both_decide():
    page = _page(FakeAssistant(waits=1))
    state, _ = await _asked(page, PageState())
    await _seen(page, page.decide(state, "approve"))
    with pytest.raises(ReadingError, match="decided on already, in another tab"):
        page.decide(state, "reject")


async def test_a_plan_that_changed_elsewhere_is_not_approved_unseen():
    assistant = FakeAssistant(waits=2)
    page = _page(assistant)
    state, _ = await _asked(page, PageState())
    assistant.story = assistant.story[:2]
    await _seen(page, page.decide(state, "reject", comment="only measure"))
    with pytest.raises(ReadingError, match="changed in another tab"):
        page.decide(state, "approve")
    _, view = await _seen(page, page.decide(page.opened(state.reading), "approve"))
    assert view.answer.outcome == "answered"


async def test_a_reloaded_page_comes_back_to_the_same_state(ct):
    assistant = FakeAssistant(held_back=("Nonsense. — held back: nothing says so",))
    page = _page(assistant)
    state, _ = await _asked(page, PageState(), attaches=[Attach(ct)])
    state, _ = await _asked(page, state, "And then?")
    after = Page(FakeAssistant(settings=assistant.settings), Shelf())  # another process
    again = after.opened(state.reading)
    assert again.reading == state.reading
    assert [t.request for t in again.turns] == ["Segment the lungs.", "And then?"]
    assert [a.name for a in again.attached] == ["ct.nii.gz"]
    assert _without_times(after.history_html(again)) == _without_times(page.history_html(state))
    assert not after.has_news(again, "tab")


def _without_times(html):
    return re.sub(r"<time>[^<]*</time>|/files/[^\"]+", "", html)


async def test_a_reload_while_it_runs_finds_the_run():
    page = _page(FakeAssistant(step_seconds=0.1))
    state = page.ask(PageState(asked="Segment the lungs."))
    other = page.opened(state.reading)
    assert other.run == state.run
    assert other.turns == ()
    assert page.has_news(replace(other, run=""), "another tab")
    _, view = await _seen(page, other)
    assert view.answer.outcome == "answered"


async def test_a_run_that_was_killed_can_be_gone_on_with():
    page = _page(assistant := FakeAssistant())
    reading = assistant.begin()
    assistant.record(reading).append("turn", request="Segment the lungs.", decision=None)
    state = page.opened(reading)
    assert "Cut off" in page.history_html(state)
    assert can_go_on(state.turns[-1])
    state, view = await _seen(page, page.go_on(state))
    assert view.answer.outcome == "answered"
    assert len(state.turns) == 1


async def test_what_another_tab_did_is_news():
    page = _page(FakeAssistant())
    state, _ = await _asked(page, PageState())
    assert not page.has_news(state, "one")
    await _asked(page, page.opened(state.reading), "more")
    assert page.has_news(state, "one")


async def test_a_reading_whose_first_file_was_refused_is_forgotten(tmp_path):
    page = _page(make := FakeAssistant())
    run = page.ask(PageState(asked="x", attaches=(Attach(tmp_path / "no.dcm"),)))
    view = [v async for v in views(page.run_of(run))][-1]
    assert "does not exist" in view.failed.message
    shutil.rmtree(make.workspace(run.reading).root)  # as the assistant does with a reading that holds nothing
    state = page.ended(run, view)
    assert state.reading == ""
    assert "This file cannot be used" in page.history_html(state)


async def test_errors_and_failed_readings_are_shown():
    page = _page(FakeAssistant(raises=RunError("the disk is full: free some space and resume")))
    state, view = await _asked(page, PageState())
    assert view.failed is not None
    assert "the disk is full" in page.history_html(state)


def test_an_empty_page_says_what_to_do():
    assert "Attach an image or take a sample case" in _page().history_html(PageState())


async def test_what_was_pointed_at_before_attaching_goes_with_its_image(ct, tmp_path):
    from ui.viewing.pointed import pointed_of

    assistant = FakeAssistant()
    page = _page(assistant)
    said = (
        '[{"image": "new2", "kind": "point", "voxels": [[1, 2, 3]]}, {"image": "new2", "kind": "box",'
        ' "voxels": [[0, 0, 3], [5, 6, 3]]}, {"image": "img1", "kind": "point", "voxels": [[4, 4, 4]]}]'
    )
    report = tmp_path / "old.txt"
    report.write_text("Clear.", encoding="utf-8")
    brought = with_brought(StudyState(), (Brought(report, "old.txt"), Brought(ct, ct.name)))
    study = replace(brought, pointed=pointed_of(said))
    await _seen(page, page.ask(page.asked(PageState(), "Segment what I marked.", study, ANY_MODALITY)))
    first, second = assistant.calls[0]["pointed"]
    assert first.image == "img1"
    assert first.prompt.points == [[1, 2, 3]]
    assert first.prompt.box == [[0, 0, 3], [5, 6, 3]]
    assert second.prompt.points == [[4, 4, 4]]


def test_places_that_are_none_are_left_out():
    from ui.viewing.pointed import pointed_of

    for said in ("", "nonsense", '{"image": "img1"}', '[{"image": "../x", "kind": "point", "voxels": [[1, 2, 3]]}]'):
        assert pointed_of(said) == ()
