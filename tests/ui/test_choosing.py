"""Which series go with a request, and which of them are earlier studies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fake_assistant import FakeAssistant
from tools.imaging.series import SeriesInfo
from ui.choosing import choose, id_of, point, studies, waiting, with_brought
from ui.components.study import brought_html
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.shelf import Shelf
from ui.streaming import views
from ui.uploads import Brought
from ui.viewing.pictures import previews_of
from ui.viewing.pointed import Pin

OLD, NEW = ("1.1", "2025-06-01", "CT THORAX"), ("1.9", "2026-01-02", "CT THORAX CONTROL")


def _series(number, study, images=30, name="LUNG"):
    uid, day, words = study
    return SeriesInfo(f"{uid}.{number}", number, name, "CT", "CHEST", images, uid, day, words)


@pytest.fixture
def folder():
    found = (_series(1, OLD, 1, "SCOUT"), _series(2, OLD, 20), _series(3, NEW, 1, "SCOUT"), _series(4, NEW, 40))
    return Brought(Path("dicom"), "62 DICOM files", found)


def _ids(study):
    return [w.id for w in waiting(study)]


def test_the_largest_series_of_the_newest_study_is_chosen_at_first(folder):
    study = with_brought(StudyState(), [folder])
    assert _ids(study) == ["new1.4"]
    assert study.priors == ()


def test_an_older_study_chosen_beside_a_newer_one_is_the_prior_until_the_person_says_otherwise(folder):
    study = choose(with_brought(StudyState(), [folder]), json.dumps(["new1.2", "new1.4"]))
    old = "1 Jun 2025 · CT THORAX"
    assert studies(study) == ["2 Jan 2026 · CT THORAX CONTROL", old]
    assert study.priors == (old,)
    page = Page(FakeAssistant(), Shelf())
    asked = page.asked(PageState(), "Compare.", study, ANY_MODALITY)
    assert [(a.series, a.prior) for a in asked.attaches] == [("4", False), ("2", True)]
    assert {p.id: p.prior for p in previews_of(study)} == {
        "new1.1": False, "new1.2": True, "new1.3": False, "new1.4": False,
    }  # fmt: skip
    again = choose(replace(study, priors=()), json.dumps(["new1.1", "new1.2", "new1.4"]))
    assert again.priors == ()  # a further series of the same studies changes nothing of what was said


def test_each_folder_has_choices_of_its_own_and_keeps_them(folder):
    other = Brought(Path("other"), "3 DICOM files", (_series(1, NEW, 3), _series(2, NEW, 2)))
    study = choose(with_brought(StudyState(), [folder]), json.dumps(["new1.1"]))
    study = with_brought(study, [Brought(Path("x.png"), "x.png"), folder, other])
    assert _ids(study) == ["new2", "new1.1", "new3.1"]
    assert _ids(choose(study, json.dumps(["new3.2"]))) == ["new2", "new3.2"]  # of the folder nothing: it is not read


def test_what_is_taken_back_or_has_gone_leaves_its_id_to_nothing_else(folder):
    first, second, third = (Brought(Path(f"{name}.png"), f"{name}.png") for name in "abc")
    study = with_brought(StudyState(), [first, second])
    study = with_brought(study, [second])
    assert [(w.id, w.item.name) for w in waiting(study)] == [("new2", "b.png")]
    study = with_brought(study, [second, first])
    assert _ids(study) == ["new2", "new3"]
    assert _ids(with_brought(study.emptied, [third, folder])) == ["new4", "new5.4"]


@pytest.mark.parametrize("said", ["", "nonsense", '{"a": 1}', "[1]"])
def test_a_choice_that_is_none_changes_nothing(folder, said):
    study = with_brought(StudyState(), [folder])
    assert choose(study, said) == study


async def test_places_follow_the_series_that_are_attached(folder):
    study = choose(with_brought(StudyState(), [folder]), json.dumps(["new1.2", "new1.4"]))
    pins = [Pin(image=i, kind="point", voxels=((1, 2, 3),)) for i in ("new1.2", "new1.4", "new1.1")]
    study = replace(study, pointed=tuple(pins))
    assistant = FakeAssistant()
    page = Page(assistant, Shelf())
    run = page.run_of(page.ask(page.asked(PageState(), "Outline it.", study, ANY_MODALITY)))
    assert [view async for view in views(run)]
    (call,) = assistant.calls
    assert [a.series for a in call["attachments"]] == ["4", "2"]  # img1, img2
    assert [p.image for p in call["pointed"]] == ["img2", "img1"]  # what is not attached is not pointed into


def test_a_series_that_is_pointed_into_goes_with_the_request(folder):
    study = point(with_brought(StudyState(), [folder]), (Pin(image="new1.2", kind="point", voxels=((1, 2, 3),)),))
    assert _ids(study) == ["new1.4", "new1.2"]
    assert study.priors == ("1 Jun 2025 · CT THORAX",)


def test_a_series_that_was_unticked_after_pointing_stays_so_and_the_viewer_knows(folder):
    pin, other = (Pin(image=i, kind="point", voxels=((1, 2, 3),)) for i in ("new1.2", "new1.4"))
    study = point(with_brought(StudyState(), [folder]), (pin,))
    assert {p.id: p.goes for p in previews_of(study)} == {
        "new1.1": False, "new1.2": True, "new1.3": False, "new1.4": True,
    }  # fmt: skip
    study = choose(study, json.dumps(["new1.4"]))
    study = point(study, (pin, other))  # the first place is sent again with every new one
    assert _ids(study) == ["new1.4"]
    assert [p.id for p in previews_of(study) if p.goes] == ["new1.4"]
    study = point(study, (other,))
    assert _ids(point(study, (pin, other))) == ["new1.4", "new1.2"]  # pointed at anew


def test_series_are_listed_under_their_study_and_no_patient(folder):
    study = choose(with_brought(StudyState(), [folder]), json.dumps(["new1.2"]))
    html = brought_html(study.brought, reading="r", previews=previews_of(study), chosen=study.chosen)
    heads = [part.split("</h3>")[0] for part in html.split('<h3 class="rr-study-head">')[1:]]
    assert heads == ["2 Jan 2026 · CT THORAX CONTROL · CT", "1 Jun 2025 · CT THORAX · CT"]
    first, second = html.split("<section>")[1:]
    assert [first.count("rr-thumb"), second.count("rr-thumb")] == [2, 2]
    assert 'data-series="new1.2" aria-label="Attach series 2, LUNG" checked="checked"' in second
    assert html.count("checked") == 2  # the name and the value of one attribute
    assert "4 series in 2 studies: tick those to attach" in html


def test_ids_name_series_only_where_there_is_a_choice(folder):
    assert id_of(2, None) == "new2"
    assert id_of(2, folder.series[2]) == "new2.3"
