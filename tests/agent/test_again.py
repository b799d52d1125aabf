"""A step is run again with another model, and what was built on it; what was made before stays."""

from __future__ import annotations

import pytest

from agent.again import again_stream, model_options, plan_again
from agent.errors import ReadingError
from agent.events import Answered, Planned, StepStarted
from agent.plan import Condition, Plan, Step
from tests.agent.conftest import plan_of
from tests.agent.test_model_choice import HUB, OnePlan, assistant_with
from tools.facts import AttachmentFacts

STEPS = (
    Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["lungs"]}),
    Step(id="s2", tool="measure", args={"mask": "@s1"}),
    Step(id="s3", tool="search_reports", args={"query": "not @s1 itself"}),
    Step(
        id="s4",
        tool="draft_report",
        args={"evidence": ["@s1", "@s2", "@s3"]},
        when=Condition(step="s2", quantity="volume", relation="above", value=5, unit="l"),
    ),
)


def test_what_was_built_on_the_step_runs_again_under_new_ids() -> None:
    plan = plan_again(STEPS, "s1", "slow", made=["s1", "s2", "s3", "s4"], first=5)
    assert [(s.id, s.tool, s.model) for s in plan.steps] == [
        ("s5", "segment", "slow"), ("s6", "measure", None), ("s7", "draft_report", None),
    ]  # fmt: skip
    assert plan.steps[1].args == {"mask": "@s5"}
    assert plan.steps[2].args == {"evidence": ["@s5", "@s6", "@s3"]}
    assert plan.steps[2].when is not None
    assert plan.steps[2].when.step == "s6"


def test_ids_that_follow_each_other_are_not_mixed_up() -> None:
    steps = [Step(id=f"s{n}", tool="measure", args={"mask": f"@s{n - 1}" if n > 1 else "@mask1"}) for n in range(1, 12)]
    plan = plan_again(steps, "s1", None, made=[s.id for s in steps], first=12)
    assert [s.args["mask"] for s in plan.steps] == ["@mask1", *(f"@s{n}" for n in range(12, 22))]


def test_a_needed_step_that_gave_nothing_runs_again_too() -> None:
    plan = plan_again(STEPS, "s4", None, made=["s1", "s3"], first=5)
    assert [s.tool for s in plan.steps] == ["measure", "draft_report"]
    assert plan.steps[0].args == {"mask": "@s1"}


def test_a_step_that_is_not_there_is_named() -> None:
    with pytest.raises(ReadingError, match=r"no step 's9' to run again; there are: s1, s2, s3, s4"):
        plan_again(STEPS, "s9", None, made=[], first=5)


def test_models_that_fit_are_listed_ready_ones_first() -> None:
    facts = {"img1": AttachmentFacts(id="img1", modality="CT", dims=3)}
    options = model_options(STEPS[0], HUB, facts)
    assert [(o.name, o.state, o.is_chosen) for o in options] == [
        ("quick", "ready", True), ("slow", "ready", False), ("absent", "needs extra", False),
    ]  # fmt: skip
    assert "is not part of this installation" in options[-1].remedy
    assert model_options(STEPS[1], HUB, facts) == []


def test_a_step_runs_again_with_the_model_that_a_person_chose(tmp_path, nifti_ct) -> None:
    planner = OnePlan(Plan(steps=STEPS[:1]))
    assistant = assistant_with(planner, tmp_path, approval="ask-before-running")
    reading = assistant.ask("segment", [nifti_ct]).reading
    with pytest.raises(ReadingError, match="waits for a decision"):
        again_stream(assistant, reading, "s1", "slow")
    assistant.resume(reading)
    events = list(again_stream(assistant, reading, "s1", "slow")[1])
    planned = next(e for e in events if isinstance(e, Planned))
    assert planned.decided_by == "a person"
    assert [e.step for e in events if isinstance(e, StepStarted)] == ["s2"]  # not asked for a second time
    assert isinstance(events[-1], Answered)
    made = {a.id: a.provenance.model.card for a in assistant.workspace(reading).artifacts()}
    assert made == {"s1": "quick", "s2": "slow"}
    lines = [x for x in assistant.record(reading).lines() if x["event"] == "again"]
    assert [(x["step"], x["model"], x["runs_as"]) for x in lines] == [("s1", "slow", ["s2"])]


def test_a_model_that_does_not_fit_is_refused_with_its_reason(tmp_path, nifti_ct) -> None:
    assistant = assistant_with(OnePlan(Plan(steps=STEPS[:1])), tmp_path)
    reading = assistant.ask("segment", [nifti_ct]).reading
    events = list(again_stream(assistant, reading, "s1", "for-mr")[1])
    assert events[-1].outcome == "declined"
    assert "for-mr" in events[-1].claims[0].text
    assert [a.id for a in assistant.workspace(reading).artifacts()] == ["s1"]


def test_the_next_request_is_planned_as_ever(make_assistant, nifti) -> None:
    assistant = make_assistant(plan_of(("wait", {})), plan_of(("wait", {"seconds": 0.1})))
    reading = assistant.ask("wait", [nifti]).reading
    list(again_stream(assistant, reading, "s1")[1])
    answer = assistant.ask("wait more", reading=reading)
    assert [a.id for a in answer.artifacts] == ["s3"]
