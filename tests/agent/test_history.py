"""The turns of a reading come back from its record as the events that were streamed."""

from __future__ import annotations

import pytest

from agent.errors import RunError
from agent.events import Answered, Attached, Failed, Paused, Planned, StepFailed, StepFinished, StepStarted
from agent.history import turns_of
from tests.agent.conftest import plan_of

TOLD = (Attached, Planned, StepStarted, StepFinished, StepFailed, Answered, Failed, Paused)


def _same(streamed, past) -> None:
    """Compare type by type, without times and what only a running program needs."""
    kept = [e for e in streamed if isinstance(e, TOLD)]
    assert [type(e) for e in past] == [type(e) for e in kept]
    for now, then in zip(kept, past, strict=True):
        without = {"at", "seconds", "files", "figures"}
        assert then.model_dump(exclude=without) == now.model_dump(exclude=without)


def test_events_come_back_as_they_were_streamed(make_assistant, nifti) -> None:
    assistant = make_assistant(plan_of(("wait", {}), ("refuse", {}), ("wait", {"after": ["@s2"]})))
    streamed = []
    answer = assistant.ask("wait", [nifti], on_event=streamed.append)
    (turn,) = turns_of(make_assistant(), answer.reading)
    _same(streamed, turn.events)
    assert turn.request == "wait"
    assert turn.answer == answer
    assert not turn.is_open


def test_two_turns_and_what_each_attached(make_assistant, nifti, nifti_ct) -> None:
    assistant = make_assistant(plan_of(("wait", {})), plan_of(("wait", {})))
    reading = assistant.ask("first", [nifti]).reading
    assistant.ask("second", [nifti_ct], reading=reading)
    first, second = turns_of(assistant, reading)
    names = [[e.name for e in turn.events if isinstance(e, Attached)] for turn in (first, second)]
    assert names == [["scan.nii.gz"], ["ct.nii.gz"]]
    assert [a.id for a in second.answer.artifacts] == ["s2"]


def test_a_pause_then_a_decision_is_one_turn(make_assistant) -> None:
    assistant = make_assistant(plan_of(("delicate", {})))
    reading = assistant.ask("do it").reading
    (turn,) = turns_of(assistant, reading)
    assert turn.answer.outcome == "waiting"
    assert [type(e) for e in turn.events] == [Planned, Paused, Answered]
    assistant.resume(reading)
    (turn,) = turns_of(assistant, reading)
    assert turn.answer.outcome == "answered"
    assert [type(e) for e in turn.events] == [Planned, StepStarted, StepFinished, Answered]


def test_an_edited_plan_is_the_one_that_is_told(make_assistant) -> None:
    assistant = make_assistant(plan_of(("delicate", {}), ("wait", {})))
    reading = assistant.ask("do it").reading
    streamed = []
    assistant.resume(reading, decision="edit", plan=plan_of(("delicate", {})), on_event=streamed.append)
    planned = [e for e in streamed if isinstance(e, Planned)]
    assert [(p.decided_by, len(p.plan.steps)) for p in planned] == [("a person", 1)]
    (turn,) = turns_of(assistant, reading)
    assert [len(e.plan.steps) for e in turn.events if isinstance(e, Planned)] == [2, 1]


def test_a_failed_run_says_why_and_a_killed_one_is_open(make_assistant) -> None:
    assistant = make_assistant(plan_of(("crash", {})))
    reading = assistant.begin()
    with pytest.raises(RunError):
        assistant.ask("crash", reading=reading)
    (turn,) = turns_of(assistant, reading)
    assert isinstance(turn.events[-1], Failed)
    assert not turn.is_open
    assistant.record(reading).append("turn", request="killed", decision=None)
    assert turns_of(assistant, reading)[-1].is_open


def test_what_a_person_does_between_turns_is_no_part_of_one(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {})))
    reading = assistant.ask("wait").reading
    before = turns_of(assistant, reading)
    assistant.record(reading).append("plan", request="", outcome=plan_of(("wait", {})).model_dump(), decided_by="x")
    assert turns_of(assistant, reading) == before


def test_readings_of_earlier_versions_show_their_attachments(make_assistant, nifti) -> None:
    assistant = make_assistant(plan_of(("wait", {})))
    reading = assistant.ask("wait", [nifti]).reading
    path = assistant.record(reading).path
    lines = [line for line in path.read_text().splitlines() if '"attached"' not in line]
    path.write_text("\n".join(lines) + "\n")
    (turn,) = turns_of(assistant, reading)
    assert turn.events[0].name == "scan.nii.gz"
