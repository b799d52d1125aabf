"""Who is asked before what: per tool, per reading; and what the pause shows."""

from __future__ import annotations

import pytest

from agent.events import Answered, Paused, Planned
from agent.pausing import reasons_to_ask
from agent.plan import Plan, Step
from agent.settings import Settings
from tools.registry import Registry


def plan_of(*steps):
    return Plan(steps=tuple(Step(id=f"s{i}", tool=name, args=args) for i, (name, args) in enumerate(steps, 1)))


EXPORT = plan_of(("segment", {"image": "@img1"}), ("export", {"artifacts": ["@s1"], "format": "stl"}))


@pytest.mark.parametrize(
    ("policy", "tools", "reasons"),
    [
        ("auto", {}, ()),
        ("ask-before-running", {}, ("every plan is shown before it runs",)),
        ("ask-before-running", {"export": "auto"}, ("every plan is shown before it runs",)),
        ("ask-before-export", {}, ("s2 export: it hands results out",)),
        ("ask-before-export", {"export": "auto"}, ()),
        ("auto", {"segment": "ask"}, ("s1 segment: the settings ask for it",)),
    ],
)
def test_the_strictest_word_counts_and_a_tool_may_be_trusted_by_name(policy, tools, reasons) -> None:
    assert reasons_to_ask(EXPORT, Registry.installed(), Settings(tool_approval=tools), policy) == reasons


def test_a_tool_that_asks_can_be_trusted_by_the_settings(make_assistant) -> None:
    delicate = plan_of(("delicate", {}))
    waiting = make_assistant(delicate).ask("do it")
    assert waiting.pause.reasons == ("s1 delicate: the tool asks for it",)
    assert make_assistant(delicate, tool_approval={"delicate": "auto"}).ask("do it").outcome == "answered"


def test_the_settings_per_tool_come_from_the_environment_too(monkeypatch) -> None:
    monkeypatch.setenv("READINGROOM_TOOL_APPROVAL", '{"export": "ask"}')
    assert Settings().tool_approval == {"export": "ask"}
    monkeypatch.setenv("READINGROOM_TOOL_APPROVAL", '{"export": "never"}')
    with pytest.raises(ValueError, match="'auto' or 'ask'"):
        Settings()


def test_a_reading_may_have_its_own_policy_that_holds_for_follow_ups_and_over_a_restart(make_assistant) -> None:
    wait = plan_of(("wait", {}))
    assistant = make_assistant(wait, wait)
    reading = assistant.begin(approval="ask-before-running")
    assert assistant.ask("wait", reading=reading).outcome == "waiting"
    assert assistant.resume(reading).outcome == "answered"
    restarted = make_assistant(wait, wait)
    assert restarted.ask("again", reading=reading).outcome == "waiting"
    assert restarted.ask("elsewhere").outcome == "answered"  # other readings are as the settings say


def test_a_stricter_reading_beats_loose_settings_and_a_looser_one_too(make_assistant) -> None:
    wait = plan_of(("wait", {}))
    assistant = make_assistant(wait, approval="ask-before-running")
    assert assistant.ask("wait", reading=assistant.begin(approval="auto")).outcome == "answered"


def test_the_pause_shows_plan_cost_and_what_is_lacking(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {"seconds": 0.1}), ("wait", {"after": ["@s1"]})))
    reading = assistant.begin(approval="ask-before-running")
    events = list(assistant.stream("wait", reading=reading))
    kinds = [type(e) for e in events]
    assert kinds.index(Planned) < kinds.index(Paused) < kinds.index(Answered)
    pause = assistant.answer(reading).pause
    assert [s.id for s in pause.plan.steps] == ["s1", "s2"]
    assert (pause.estimated_seconds, pause.device_memory_mb, pause.lacks) == (2.0, 0, ())
    assert next(e for e in events if isinstance(e, Paused)).pause == pause
    assert assistant.is_waiting(reading)
    assistant.resume(reading)
    assert not assistant.is_waiting(reading)
    assert assistant.answer(reading).pause is None


def test_an_edit_after_a_failed_step_keeps_what_ran_before_in_the_answer(make_assistant) -> None:
    assistant = make_assistant(plan_of(("refuse", {"retry": True}), ("wait", {})), plan_of(("wait", {})))
    reading = assistant.begin(approval="ask-before-running")
    assistant.ask("try", reading=reading)
    again = assistant.resume(reading)  # s1 fails, s2 runs, and the new plan waits too
    assert again.outcome == "waiting"
    (step,) = again.pause.plan.steps
    other = Plan(steps=(Step(id=step.id, tool="wait", args={"seconds": 0.2}),))
    done = assistant.resume(reading, decision="edit", plan=other)
    assert "Volume of the phantom: 0.0 ml. [s2]" in done.text
    assert "Volume of the phantom: 0.200 ml. [s3]" in done.text
    assert [s.id for s in done.plan.steps] == ["s1", "s2", "s3"]
