"""Steps in processes of their own: stopped wherever they are, their memory free, their models loaded once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import isolated_tools as tools_here

from agent.assistant import Assistant
from agent.errors import LimitError, RunError
from agent.events import Progress, StepFailed
from agent.plan import Plan, Step
from agent.settings import Settings
from tools.contract import Tool, ToolContext, tool
from tools.models.card import ModelCard
from tools.models.hub import Hub
from tools.registry import Registry
from tools.results import Measurements

ROOM = Registry([t for t in vars(tools_here).values() if isinstance(t, Tool)])


def card(name: str, *, isolated: bool) -> ModelCard:
    return ModelCard(
        name=name, title=name, verb="segment", version="1", licence="MIT", source="test", runtime="hu_threshold",
        targets=("lungs",), modality=("CT",), dims=(3,), requires="it needs air", seconds=1, isolated=isolated,
    )  # fmt: skip


def plan_of(*steps: tuple[str, dict]) -> Plan:
    return Plan(steps=tuple(Step(id=f"s{i}", tool=name, args=args) for i, (name, args) in enumerate(steps, 1)))


@pytest.fixture
def make(tmp_path):
    from conftest import ScriptedPlanner

    def make(*plans: Plan, hub: Hub | None = None, **settings: object) -> Assistant:
        return Assistant(
            settings=Settings(readings_dir=tmp_path / "readings", device="cpu", **settings),
            registry=ROOM, hub=hub or Hub([]), planner=ScriptedPlanner(list(plans)),
        )  # fmt: skip

    return make


def pid_of(assistant: Assistant, reading: str, step: str = "s1") -> int:
    return int((assistant.workspace(reading).root / "artifacts" / step / "pid.txt").read_text())


def cancelled_run(assistant: Assistant, reading: str) -> float:
    """Ask, cancel once the step says that it works, and return how long the stop took."""
    began = 0.0

    def cancel(event) -> None:
        nonlocal began
        if isinstance(event, Progress) and not began:
            time.sleep(0.2)
            began = time.monotonic()
            assistant.cancel(reading)

    with pytest.raises(RunError, match="cancelled"):
        assistant.ask("hold", reading=reading, on_event=cancel)
    return time.monotonic() - began


def test_it_runs_in_another_process_that_is_kept_for_the_next_step(make) -> None:
    assistant = make(plan_of(("where", {}), ("where", {"after": ["@s1"]})), seed=7)
    events = []
    answer = assistant.ask("where", on_event=events.append)
    pids = {pid_of(assistant, answer.reading, step) for step in ("s1", "s2")}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert answer.artifacts[0].summary == f"Ran in {pids.pop()} with seed 7 on cpu."
    assert any(isinstance(e, Progress) and e.message == "half way" for e in events)


def test_a_native_call_is_stopped_within_two_seconds_of_cancel_and_its_memory_is_free(make) -> None:
    assistant = make(plan_of(("held", {})), plan_of(("where", {})))
    reading = assistant.begin()
    seen = {}

    def look() -> None:
        path = assistant.workspace(reading).root / "artifacts" / "s1" / "pid.txt"
        while not path.exists() or not path.read_text():
            time.sleep(0.01)
        seen["process"] = psutil.Process(int(path.read_text()))
        seen["rss"] = seen["process"].memory_info().rss

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    assert cancelled_run(assistant, reading) < 2
    watcher.join()
    assert seen["rss"] > tools_here.BALLAST_MB << 20
    assert not seen["process"].is_running()
    assert assistant.ask("where", reading=reading).outcome == "answered"  # a new process took its place


def test_a_native_call_is_stopped_at_its_time_limit(make) -> None:
    assistant = make(plan_of(("held_limited", {})))
    began = time.monotonic()
    answer = assistant.ask("hold")
    assert time.monotonic() - began < 8
    assert answer.failures[0].kind == "time_limit"
    assert "past its limit of 5 s" in answer.failures[0].message
    assert not psutil.pid_exists(pid_of(assistant, answer.reading))


def test_the_limit_of_a_request_stops_a_native_call_too(make) -> None:
    assistant = make(plan_of(("held", {})), max_seconds=5)
    reading = assistant.begin()
    with pytest.raises(LimitError, match=r"past its limit of 5 s"):
        assistant.ask("hold", reading=reading)
    assert not psutil.pid_exists(pid_of(assistant, reading))


def test_a_tool_that_looks_whether_to_stop_keeps_its_process(make) -> None:
    assistant = make(plan_of(("polite", {})), plan_of(("where", {})))
    reading = assistant.begin()
    assert cancelled_run(assistant, reading) < 2
    pid = pid_of(assistant, reading)
    after = assistant.ask("where", reading=reading)
    assert f"Ran in {pid} " in after.artifacts[-1].summary


def test_errors_cross_the_border_with_their_kind(make) -> None:
    answer = make(plan_of(("refuse_isolated", {}))).ask("try")
    assert (answer.failures[0].kind, answer.failures[0].message) == ("unsupported", "this phantom has no lungs")


@pytest.mark.parametrize(
    ("how", "said"), [("bug", "ZeroDivisionError"), ("crash", "end of its process"), ("store", "RuntimeError")]
)
def test_a_bug_is_one_line_and_its_traceback_stays_in_the_record(make, how, said) -> None:
    assistant = make(plan_of(("break_isolated", {"how": how})))
    with pytest.raises(RunError, match=f"stopped with an unexpected {said}") as caught:
        assistant.ask("break")
    assert "PATIENT" not in str(caught.value)
    (reading,) = assistant.readings()
    assert "break_isolated" in assistant.record(reading).path.read_text()


def test_a_process_that_the_system_ends_is_a_failed_step_that_says_why(make) -> None:
    events = []
    make(plan_of(("break_isolated", {"how": "killed"}))).ask("break", on_event=events.append)
    (failed,) = [e for e in events if isinstance(e, StepFailed)]
    assert failed.kind == "unavailable"
    assert "for want of memory" in failed.message


def test_a_model_card_may_ask_for_a_process_of_its_own(make, nifti_ct) -> None:
    hub = Hub([card("here", isolated=False), card("apart", isolated=True)])
    plans = [Plan(steps=(Step(id="s1", tool="segment", args={"image": "@img1"}, model=m),)) for m in ("here", "apart")]
    for plan, apart in zip(plans, (False, True), strict=True):
        assistant = make(plan, hub=hub)
        answer = assistant.ask("segment this CT", [nifti_ct])
        assert (pid_of(assistant, answer.reading) != os.getpid()) is apart
        assert answer.artifacts[0].provenance.model.card == ("apart" if apart else "here")


def test_an_isolated_tool_must_be_one_that_a_process_can_import() -> None:
    with pytest.raises(TypeError, match="must stand at the top of its module"):

        @tool(isolated=True)
        def inner(ctx: ToolContext) -> Measurements:
            """Cannot be imported."""
            return Measurements(summary="x", rows=())


_PARENT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from conftest import ScriptedPlanner, plan_of
import isolated_tools as t
from agent.assistant import Assistant
from agent.settings import Settings
from tools.models.hub import Hub
from tools.registry import Registry
assistant = Assistant(settings=Settings(readings_dir=Path({readings!r}), device="cpu"), registry=Registry([t.polite]),
    hub=Hub([]), planner=ScriptedPlanner([plan_of(("polite", {{}}))]))
for event in assistant.stream("go"):
    print(event.model_dump_json(), flush=True)
"""


def test_a_worker_ends_with_the_process_that_started_it(tmp_path) -> None:
    code = textwrap.dedent(_PARENT).format(tests=str(Path(__file__).parent), readings=str(tmp_path / "readings"))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in parent.stdout:
        if '"progress"' in line:
            break
    (path,) = (tmp_path / "readings").glob("*/artifacts/s1/pid.txt")
    worker = psutil.Process(int(path.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, still = psutil.wait_procs([worker], timeout=5)
    assert still == []
