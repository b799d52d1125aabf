"""What people meet when something is empty, missing, full or refused: each says what it is and what to do."""

from __future__ import annotations

import pytest

from agent.answer import Answer, StepFailure
from agent.costing import StepCost
from agent.events import Failed, Planned, Planning, Progress, StepStarted, Tokens
from agent.pausing import Pause
from agent.plan import Condition, Plan, Step
from tools.facts import AttachmentFacts
from tools.places import Place, Region
from tools.results import Claim, Measurement, Measurements
from tools.sources import Source
from tools.workspace import Artifact, Provenance
from ui.components.citing import citation_html, held_back_html, sentence_html, show_of
from ui.components.evidence import Card, EvidenceView, Matched, evidence_tab_html
from ui.components.graph import plan_svg
from ui.components.measurements import as_csv, measurements_tab_html
from ui.components.pause import checked_plan_html, pause_html
from ui.components.states import can_go_on, cut_off_html, failure_html, partial_html
from ui.components.turn import progress_html, results_html
from ui.tabs import evidence, files, measurements, plan, report
from ui.view import RunView, fold

STEPS = (
    Step(id="s1", tool="segment", args={"image": "@img1"}),
    Step(id="s2", tool="measure", args={"mask": "@s1"}),
    Step(id="s3", tool="search_reports", args={"query": "lungs"}),
    Step(id="s4", tool="draft_report", args={"evidence": ["@s2", "@s3"]}),
)


def planned(*steps: Step) -> RunView:
    event = Planned(plan=Plan(steps=steps or STEPS), decided_by="examples", seconds=0.1, estimated_seconds=12)
    return fold(RunView(request="x", reading="r"), event)


@pytest.mark.parametrize("tab", [evidence, files, measurements, plan, report])
def test_an_empty_tab_says_what_comes_there_and_how(tab) -> None:
    assert "rr-nothing" in tab.EMPTY
    assert "<span>" in tab.EMPTY  # how one gets it


def test_loading_says_what_is_waited_for() -> None:
    assert "Reading the files" in progress_html(RunView(reading="r"), 0.0)
    assert "yours is next" in progress_html(RunView(reading="r", before=1), 0.0)
    assert "3 runs are before yours" in progress_html(RunView(reading="r", before=3), 0.0)
    view = fold(RunView(reading="r"), Planning(by="tiny", at=10.0))
    html = progress_html(fold(view, _tokens()), 12.5)
    assert "Planning with tiny" in html
    assert "2.5 s" in html
    assert "300 of 100,000 tokens" in html


def _tokens() -> Tokens:
    return Tokens(model="tiny", purpose="plan", tokens_in=200, tokens_out=100, used=300, limit=100_000)


def test_running_shows_time_share_and_message_also_to_those_who_do_not_see() -> None:
    view = fold(planned(), StepStarted(step="s1", tool="segment", args={"image": "@img1"}, at=100.0))
    html = progress_html(fold(view, Progress(step="s1", fraction=0.4, message="slice 4 of 10")), 103.0)
    assert 'role="progressbar"' in html
    assert 'aria-valuenow="40"' in html
    assert "slice 4 of 10" in html
    assert "3.0 s" in html


def test_waiting_for_approval_shows_cost_model_why_and_what_is_missing() -> None:
    pause = Pause(
        plan=Plan(steps=STEPS[:1]), reasons=("every plan is shown before it runs",), estimated_seconds=75,
        device_memory_mb=6000, lacks=("s1 segment: big needs weights; run 'readingroom models get big'",),
    )  # fmt: skip
    html = pause_html(pause, {"s1": StepCost(75, 6000, "big", "the only model on CT", ())})
    for part in ("About 75 s", "6000 MB of GPU memory", "Nothing of it has run yet", "big: the only model on CT",
                 "readingroom models get big", "every plan is shown"):  # fmt: skip
        assert part in html


def test_a_changed_plan_says_that_it_can_run_and_for_how_long() -> None:
    html = checked_plan_html(Plan(steps=STEPS[:2]), {"s1": StepCost(6), "s2": StepCost(3, lacks=("no spacing",))})
    assert "It can run: 2 steps, at most 9.0 s" in html
    assert "s2 measure: no spacing" in html


@pytest.mark.parametrize(
    ("kind", "message", "title", "advice"),
    [
        ("LLMUnavailableError", "http://127.0.0.1:9 does not answer", "language model does not answer", "Settings"),
        ("unavailable", "the disk is full: could not write x", "The disk is full", "Free some space"),
        ("attachment", "x.dcm is not DICOM: rename it", "This file cannot be used", "ask again"),
        ("UnavailableError", "weights missing; run 'readingroom models get x'", "is missing", "Install or start"),
        ("LimitError", "past its limit of 3600 s", "A limit was reached", "Go on"),
        ("cancelled", "the run was cancelled", "Stopped by you", "Go on"),
        ("bug", "stopped by an unexpected ZeroDivisionError", "An error of ours", "run record"),
        ("something new", "words", "Stopped", "words"),
    ],
)
def test_what_stopped_a_run_is_named_with_the_way_out(kind, message, title, advice) -> None:
    html = failure_html(kind, message)
    assert title in html
    assert advice in html
    assert 'role="alert"' in html


def test_a_refused_file_cannot_be_gone_on_with_a_stopped_run_can() -> None:
    def failed(kind):
        return fold(RunView(), Failed(reading="r", kind=kind, message="m"))

    assert not can_go_on(failed("attachment"))
    assert can_go_on(failed("cancelled"))
    assert can_go_on(failed("LLMUnavailableError"))
    assert can_go_on(RunView())
    assert "Cut off" in cut_off_html()
    assert "Cut off" in results_html(RunView())


def test_partial_failure_names_each_step_its_reason_and_the_command() -> None:
    failures = (
        StepFailure(step="s1", tool="segment", kind="unavailable", message="run 'readingroom models get x'"),
        StepFailure(step="s2", tool="measure", kind="skipped", message="it needs s1, which did not finish"),
    )
    html = partial_html(failures)
    assert "2 steps gave no result" in html
    assert "Not available here" in html
    assert "readingroom models get x" in html
    assert "Left out" in html
    assert partial_html(()) == ""
    full = StepFailure(step="s1", tool="segment", kind="unavailable", message="the disk is full: could not write x")
    assert "The disk is full" in partial_html((full,))
    assert "Not available here" not in partial_html((full,))


def test_a_step_that_failed_is_told_once_not_as_a_sentence_too() -> None:
    failure = StepFailure(step="s1", tool="segment", kind="unavailable", message="run 'readingroom models get x'")
    repeated = Claim(text=f"Step s1 (segment) gave no result: {failure.message}", kind="not examined")
    measured = Claim(text="Volume of the lungs: 3 ml.", evidence=("s4",), kind="measured")
    answer = Answer(
        reading="r", request="x", outcome="answered", claims=(repeated, measured), failures=(failure,), folder="/r",
        seconds=1.0,
    )  # fmt: skip
    html = results_html(RunView(request="x", reading="r", answer=answer))
    assert html.count("readingroom models get x") == 1
    assert "Volume of the lungs" in html


def test_the_graph_puts_what_is_needed_first_and_tells_state_by_sign_and_word() -> None:
    view = fold(planned(), StepStarted(step="s1", tool="segment", args={"image": "@img1"}, at=0.0))
    html = plan_svg(view.steps, {"s2": StepCost(3, 500, "m", "why", ("weights",))}, 2.0)
    assert html.count('class="rr-edge"') == 3
    x = {i: int(html.split(f">{i}<")[0].rsplit('x="', 1)[1].split('"')[0]) for i in ("s1", "s2", "s3", "s4")}
    assert x["s1"] == x["s3"] < x["s2"] < x["s4"]
    assert "◔ segment" in html
    assert "s1 segment, running; s2 measure, not run yet" in html
    assert "! something is missing" in html
    assert plan_svg((), {}, 0.0) == ""


def test_a_condition_is_an_edge_too() -> None:
    when = Condition(step="s1", quantity="volume", relation="above", value=5, unit="l")
    steps = (STEPS[0], Step(id="s2", tool="export", args={"artifacts": ["@img1"]}, when=when))
    assert plan_svg(planned(*steps).steps, {}, 0.0).count('class="rr-edge"') == 1


REGION = Region(image="img1", mask="s1", target="lungs", voxel=(4, 5, 6), position_mm=(1.0, 2.0, 3.0))


def test_a_citation_with_a_place_opens_it_in_the_viewer_one_without_its_card() -> None:
    html = citation_html("s2", (Place(evidence="s2", region=REGION),))
    assert "data-show=" in html
    assert "s1/lungs" in html
    assert 'data-go="s3"' in citation_html("s3", ())
    box = Region(image="img1", lower=(1, 2, 3), upper=(4, 5, 6), lower_mm=(0.0, 0, 0), upper_mm=(9.0, 9, 9))
    assert show_of(box).box == ((0.0, 0, 0), (9.0, 9, 9))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("model opinion", "opinion of a model"), ("model score", "score of a model"), ("not examined", "not examined")],
)
def test_kinds_and_marks_are_words(kind, words) -> None:
    html = sentence_html(Claim(text="A.", evidence=("s1",), kind=kind), ["synthetic", "mock"])
    assert words in html
    assert "SYNTHETIC" in html
    assert "MOCK" in html


def test_held_back_sentences_are_shown_with_their_reason() -> None:
    html = held_back_html(["The heart is large. — held back: nothing measured the heart"])
    assert "<s>The heart is large.</s>" in html
    assert "Why: nothing measured the heart" in html
    assert held_back_html([]) == ""


def test_the_evidence_tab_shows_disagreement_hits_and_why_they_matched() -> None:
    disagreement = Claim(
        text="Disagreement on effusion: s1 says so; rep1 not.", evidence=("s1", "rep1"), kind="general"
    )
    source = Source(id="CXR1", kind="stored report", of="report", title="a stored report of another patient")
    matched = Matched(
        "Lungs are clear.", "meaning close to the query", "findings", "openi", "PA view. ", " No effusion."
    )
    html = evidence_tab_html(
        EvidenceView("x", (disagreement,), ("No. — held back: why",), {"CXR1": Card(source, matched)})
    )
    assert "Sources disagree" in html
    assert "<mark>Lungs are clear.</mark>" in html
    assert "PA view. " in html
    assert "Why it matched: meaning close to the query" in html
    assert "Held back" in html


def _measured(**other) -> Artifact:
    row = Measurement(
        target="lungs", quantity="volume", value=3701.4, unit="ml", image="img1", mask="s1",
        spacing_source="NIfTI header", method="counted voxels", uncertainty=12.0, where=REGION,
    ).model_copy(update=other)  # fmt: skip
    data = Measurements(summary="m", rows=(row,)).model_dump(mode="json")
    made = Provenance(tool="measure", tool_version="1", params={}, inputs=("s1",))
    return Artifact(id="s2", kind="measurements", summary="m", data=data, marks=("synthetic",), provenance=made)


def test_measurements_show_value_unit_spacing_mask_and_copy_as_csv() -> None:
    html = measurements_tab_html([_measured()])
    for part in ("3,701 ml", "NIfTI header", "SYNTHETIC", "s1/lungs", "measure"):
        assert part in html
    csv = as_csv([(_measured(), Measurements.model_validate(_measured().data).rows[0])])
    assert csv.splitlines()[1].startswith("lungs,volume,3701.4,12.0,ml,NIfTI header,s1,img1,measure,s2,synthetic")
    evil = _measured(target="=cmd()")
    assert "'=cmd()" in as_csv([(evil, Measurements.model_validate(evil.data).rows[0])])


def test_facts_of_attachments_are_text() -> None:
    facts = AttachmentFacts(id="img1", modality="<b>", dims=3)
    assert "<b>" not in sentence_html(Claim(text=facts.modality, kind="general"))
