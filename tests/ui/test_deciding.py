"""A plan that waits, decided on from the command line: the real assistant behind scripted plans."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agent"))

from agent.assistant import Assistant
from agent.plan import Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from ui.deciding import Decision, decide


def plan_of(*steps: tuple[str, dict]) -> Plan:
    return Plan(steps=tuple(Step(id=f"s{i}", tool=name, args=args) for i, (name, args) in enumerate(steps, 1)))


class Planner:
    planned_by, can_replan = "script", True

    def __init__(self, *plans: Plan) -> None:
        self.plans = list(plans)
        self.comments: list[str | None] = []

    def plan(self, request, facts, *, comment=None, **rest):
        self.comments.append(comment)
        return PlanningResult(outcome=self.plans.pop(0), decided_by="script")


@pytest.fixture
def toolbox():
    import importlib.util

    spec = importlib.util.spec_from_file_location("agent_conftest", Path(__file__).parents[1] / "agent" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Toolbox()


@pytest.fixture
def assistant(tmp_path, toolbox):
    two = plan_of(("wait", {"seconds": 0.1}), ("wait", {"after": ["@s1"]}))
    return Assistant(
        settings=Settings(readings_dir=tmp_path / "readings", device="cpu"),
        registry=toolbox.registry(), hub=SimpleNamespace(cards=()), planner=Planner(two, plan_of(("wait", {}))),
    )  # fmt: skip


@pytest.fixture
def waiting(run_cli, assistant) -> str:
    done = run_cli("ask", "wait for it", "--approval", "ask-before-running", assistant=assistant)
    assert done.code == 2
    for shown in ("Plan that waits for you", "every plan is shown before it runs", "about 2.0 s to run", "after=@s1"):
        assert shown in done.out
    (reading,) = assistant.readings()
    assert f"--resume {reading} --yes" in done.err
    assert "--set s2.NAME=VALUE" in done.err
    return reading


def test_going_on_without_a_decision_approves_nothing(run_cli, assistant, toolbox, waiting) -> None:
    done = run_cli("ask", "--resume", waiting, assistant=assistant)
    assert done.code == 2
    assert "Plan that waits for you" in done.out
    assert toolbox.runs == []


@pytest.mark.parametrize("option", ["--yes", "--approve"])
def test_approve(run_cli, assistant, toolbox, waiting, option) -> None:
    assert run_cli("ask", "--resume", waiting, option, assistant=assistant).code == 0
    assert toolbox.runs == ["s1", "s2"]


def test_reject_with_a_comment_plans_again(run_cli, assistant, toolbox, waiting) -> None:
    done = run_cli("ask", "--resume", waiting, "--reject", "only one step", assistant=assistant)
    assert done.code == 2  # the new plan waits too
    assert assistant.open_planner().comments == [None, "only one step"]
    assert toolbox.runs == []
    assert run_cli("ask", "--resume", waiting, "--yes", assistant=assistant).code == 0
    assert toolbox.runs == ["s1"]


def test_reject_without_a_word_ends_it(run_cli, assistant, toolbox, waiting) -> None:
    done = run_cli("ask", "--resume", waiting, "--reject", "", assistant=assistant)
    assert done.code == 1
    assert "nothing was run" in done.out
    assert not assistant.is_waiting(waiting)


def test_edits_run_the_edited_plan(run_cli, assistant, toolbox, waiting) -> None:
    done = run_cli(
        "ask", "--resume", waiting, "--set", "s1.seconds=0.2", "--drop", "s2", "--add", "wait seconds=0.3 after=@s1",
        "--json", assistant=assistant,
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert [(s["id"], s["args"]) for s in answer["plan"]["steps"]] == [
        ("s1", {"seconds": 0.2}), ("s2", {"seconds": 0.3, "after": ["@s1"]}),
    ]  # fmt: skip
    assert [r["data"]["rows"][0]["value"] for r in answer["artifacts"]] == [0.2, 0.3]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--drop", "s9"], 2, "the plan has no step 's9'"),
        (["--drop", "s1"], 2, "s1 cannot be dropped: s2 works on it"),
        (["--set", "s1.hours=3"], 2, "wait has no argument 'hours'"),
        (["--set", "s1.seconds=long"], 1, "the edited plan cannot be run: wait: seconds"),
        (["--set", "s2.after=@s7"], 1, "refers to s7, which does not exist"),
        (["--reject", "no", "--yes"], 2, "--reject goes without --yes"),
    ],
)
def test_a_wrong_edit_is_one_line_and_the_plan_still_waits(
    run_cli, assistant, toolbox, waiting, options, code, said
) -> None:
    done = run_cli("ask", "--resume", waiting, *options, assistant=assistant)
    assert done.code == code
    assert said in done.err.splitlines()[-1]
    assert toolbox.runs == []
    assert assistant.is_waiting(waiting)


def test_edits_need_a_reading_that_waits(run_cli, assistant, waiting) -> None:
    assert "name it by --resume" in run_cli("ask", "x", "--drop", "s1", assistant=assistant).err
    assert "--approval is one of" in run_cli("ask", "x", "--approval", "never", assistant=assistant).err
    run_cli("ask", "--resume", waiting, "--yes", assistant=assistant)
    done = run_cli("ask", "--resume", waiting, "--drop", "s1", assistant=assistant)
    assert done.code == 2
    assert "has no plan that waits" in done.err


# --- at a prompt


@pytest.fixture
def prompted(monkeypatch):
    """Answer the prompts of a person who watches a terminal, and keep what was said to them."""
    import io

    import typer
    from rich.console import Console

    from ui.console import Terminal

    said = io.StringIO()

    class Watched(Terminal):
        err = Console(file=said, force_terminal=True, width=120, no_color=True)

    def start(*answers: str):
        left = list(answers)
        monkeypatch.setattr(typer, "prompt", lambda *a, **k: left.pop(0))
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        return Watched(), said

    return start


def decided(assistant, terminal, reading):
    run = lambda _reading, start: start(lambda event: None)  # noqa: E731
    return decide(terminal, assistant, run, assistant.answer(reading), approve=False)


def test_a_person_edits_at_the_prompt_and_a_slip_is_told(assistant, toolbox, waiting, prompted) -> None:
    terminal, said = prompted("e", "drop s7", "drop s2", "set s1.seconds=0.3", "")
    answer = decided(assistant, terminal, waiting)
    assert answer.outcome == "answered"
    assert answer.artifacts[0].data["rows"][0]["value"] == 0.3
    assert toolbox.runs == ["s1"]
    assert "the plan has no step 's7'" in said.getvalue()
    assert "seconds=0.3" in said.getvalue()


def test_an_edit_that_cannot_run_is_told_and_asked_again(assistant, toolbox, waiting, prompted) -> None:
    terminal, said = prompted("e", "set s1.seconds=long", "", "a")
    assert decided(assistant, terminal, waiting).outcome == "answered"
    assert "the edited plan cannot be run" in said.getvalue()


def test_a_person_may_leave_it_waiting_or_reject_it(assistant, toolbox, waiting, prompted) -> None:
    terminal, _ = prompted("l")
    assert decided(assistant, terminal, waiting).outcome == "waiting"
    terminal, _ = prompted("r", "")
    assert decided(assistant, terminal, waiting).outcome == "declined"
    assert toolbox.runs == []


def test_a_decision_is_data() -> None:
    assert Decision("edit", edits=("drop s1",)) == Decision("edit", edits=("drop s1",))


# --- events


def test_events_are_lines_of_json_as_they_happen(run_cli, assistant) -> None:
    done = run_cli("ask", "wait for it", "--events", "--json", assistant=assistant)
    *events, answer = map(json.loads, done.out.splitlines())
    types = [e["type"] for e in events]
    assert types[0] == "planning"
    assert types[-1] == "answer"
    assert types.index("plan") < types.index("step started") < types.index("progress") < types.index("step finished")
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)
    assert answer["outcome"] == "answered"
