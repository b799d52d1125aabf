"""A turn through the graph: order, failures, limits, approval, kill and resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from agent.answer import Answer
from agent.errors import AttachmentError, LimitError, ReadingError, RunError
from agent.events import Answered, Failed, Planned, Progress, StepFailed, StepFinished, StepStarted
from agent.plan import Clarify, Decline, Plan
from agent.settings import Settings
from tools.errors import UnavailableError
from tools.workspace import Workspace


def plan_of(*steps):
    from agent.plan import Step

    return Plan(steps=tuple(Step(id=f"s{i}", tool=name, args=args) for i, (name, args) in enumerate(steps, 1)))


def test_answers_with_evidence_that_its_steps_made(make_assistant) -> None:
    answer = make_assistant(plan_of(("wait", {"seconds": 0.0}))).ask("wait")
    assert answer.outcome == "answered"
    assert answer.text == "Volume of the phantom: 0.0 ml. [s1]"
    assert [a.id for a in answer.artifacts] == ["s1"]
    assert [Path(f).name for f in answer.files] == ["value.txt"]
    assert answer.artifacts[0].provenance.tool == "wait"


def test_independent_steps_overlap_and_dependent_ones_wait(make_assistant, box) -> None:
    plan = plan_of(
        ("wait", {"seconds": 0.4}), ("wait", {"seconds": 0.4}), ("wait", {"seconds": 0.0, "after": ["@s1", "@s2"]})
    )
    assert make_assistant(plan).ask("wait").outcome == "answered"
    first, second, third = (box.spans[s] for s in ("s1", "s2", "s3"))
    assert max(first[0], second[0]) < min(first[1], second[1])
    assert third[0] >= max(first[1], second[1])


def test_a_quick_branch_does_not_wait_for_a_slow_one(make_assistant, box) -> None:
    plan = plan_of(("wait", {"seconds": 0.8}), ("wait", {}), ("wait", {"after": ["@s2"]}))
    make_assistant(plan).ask("wait")
    assert box.spans["s3"][1] < box.spans["s1"][1]


def test_what_the_planner_left_out_is_told(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {})))
    assistant.open_planner().notes = ("left out “and sing”: out of scope",)
    assert assistant.ask("wait and sing").text.splitlines()[0] == "Left out “and sing”: out of scope."


def test_one_failing_step_does_not_lose_the_others(make_assistant, box) -> None:
    plan = plan_of(("refuse", {}), ("wait", {"seconds": 0.1}), ("wait", {"after": ["@s1"]}))
    answer = make_assistant(plan).ask("try")
    assert answer.outcome == "answered"
    assert "Volume of the phantom: 0.100 ml. [s2]" in answer.text
    assert [(f.step, f.kind) for f in answer.failures] == [("s1", "unsupported"), ("s3", "skipped")]
    assert "this phantom has no lungs" in answer.text
    assert box.runs == ["s1", "s2"] or box.runs == ["s2", "s1"]


def test_all_steps_failing_is_a_failure(make_assistant) -> None:
    assert make_assistant(plan_of(("refuse", {}))).ask("try").outcome == "failed"


def test_a_question_back_and_a_refusal_run_nothing(make_assistant, box) -> None:
    assistant = make_assistant(Clarify(question="Which lung?"), Decline(reason="Out of scope."))
    asked = assistant.ask("measure it")
    assert (asked.outcome, asked.text) == ("clarify", "Which lung?")
    declined = assistant.ask("weather")
    assert (declined.outcome, declined.text) == ("declined", "Out of scope.")
    assert box.runs == []


@pytest.mark.parametrize("request_text", ["", "   \n "])
def test_an_empty_request_is_asked_back(make_assistant, request_text) -> None:
    answer = make_assistant().ask(request_text)
    assert answer.outcome == "clarify"
    assert answer.text.startswith("Nothing was asked.")


def test_a_request_of_100_000_characters_is_refused_with_the_limit(make_assistant) -> None:
    answer = make_assistant().ask("lungs " * 17_000)
    assert answer.outcome == "declined"
    assert "4,000 are allowed" in answer.text


def test_events_come_in_the_order_in_which_things_happen(make_assistant) -> None:
    events = list(make_assistant(plan_of(("wait", {"seconds": 0.2}))).stream("wait"))
    kinds = [type(e) for e in events]
    assert kinds.index(Planned) < kinds.index(StepStarted) < kinds.index(Progress) < kinds.index(StepFinished)
    assert kinds[-1] is Answered
    times = [e.at for e in events]
    assert times == sorted(times)
    started = next(e for e in events if isinstance(e, StepStarted))
    finished = next(e for e in events if isinstance(e, StepFinished))
    assert finished.at - started.at >= 0.2


def test_events_reach_the_caller_while_the_step_runs(make_assistant, box) -> None:
    events = make_assistant(plan_of(("wait", {"seconds": 0.5}))).stream("wait")
    seen = next(e for e in events if isinstance(e, Progress))
    assert seen.fraction < 1.0
    assert "s1" not in box.spans  # still running
    events.close()


def test_a_step_that_hangs_is_stopped_at_its_limit_and_reported(make_assistant, box) -> None:
    began = time.monotonic()
    answer = make_assistant(plan_of(("hang", {}), ("wait", {}))).ask("hang")
    assert time.monotonic() - began < 5
    assert answer.failures[0].kind == "time_limit"
    assert "0.3 s" in answer.failures[0].message
    assert "[s2]" in answer.text
    box.gate.set()


def test_a_request_that_takes_too_long_is_stopped_and_keeps_what_finished(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {}), ("wait", {"seconds": 30, "after": ["@s1"]})), max_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(LimitError, match=r"past its limit of 0.5 s") as caught:
        assistant.ask("wait")
    assert time.monotonic() - began < 4
    assert caught.value.limit == 0.5
    assert caught.value.used > 0.5
    (reading,) = assistant.readings()
    assert [a.id for a in assistant.workspace(reading).artifacts()] == ["s1"]


def test_a_step_that_never_asks_is_interrupted_at_its_limit_and_lets_go(make_assistant, box) -> None:
    answer = make_assistant(plan_of(("spin", {}))).ask("spin")
    assert answer.failures[0].kind == "time_limit"
    deadline = time.monotonic() + 3
    while "spin stopped" not in box.runs and time.monotonic() < deadline:
        time.sleep(0.01)
    assert box.runs == ["spin stopped"]


def test_cancel_stops_within_two_seconds_and_keeps_what_finished(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {}), ("wait", {"seconds": 30.0, "after": ["@s1"]})))
    reading = assistant.begin()
    began = 0.0

    def cancel_when_running(event) -> None:
        nonlocal began
        if isinstance(event, Progress) and not began:
            began = time.monotonic()
            assistant.cancel(reading)

    with pytest.raises(RunError, match="cancelled"):
        assistant.ask("wait", reading=reading, on_event=cancel_when_running)
    assert time.monotonic() - began < 2
    assert [a.id for a in assistant.workspace(reading).artifacts()] == ["s1"]


def test_a_cancelled_reading_can_be_resumed(make_assistant, box) -> None:
    assistant = make_assistant(plan_of(("wait", {}), ("wait", {"seconds": 0.6, "after": ["@s1"]})))
    events = assistant.stream("wait", reading=(reading := assistant.begin()))
    next(e for e in events if isinstance(e, Progress))
    events.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            answer = assistant.resume(reading)
            break
        except ReadingError:  # the cancelled run still lets go of the reading
            time.sleep(0.05)
    assert answer.outcome == "answered"
    assert box.runs.count("s1") == 1


def test_a_bug_stops_the_run_in_one_line_and_its_traceback_stays_in_the_record(make_assistant) -> None:
    assistant = make_assistant(plan_of(("crash", {}), ("wait", {})))
    events = []
    with pytest.raises(RunError, match="unexpected ZeroDivisionError") as caught:
        events.extend(assistant.stream("crash"))
    assert "\n" not in str(caught.value)
    assert "PATIENT" not in str(caught.value)
    assert isinstance(events[-1], Failed)
    record = Path(assistant.settings.readings_dir, events[-1].reading, "record.jsonl").read_text()
    assert "ZeroDivisionError" in record
    assert assistant.workspace(events[-1].reading).has_artifact("s2")


def test_a_failed_step_that_arguments_could_mend_is_planned_again_once(make_assistant) -> None:
    assistant = make_assistant(plan_of(("refuse", {"retry": True})), plan_of(("wait", {})))
    answer = assistant.ask("try")
    assert answer.outcome == "answered"
    assert "[s2]" in answer.text
    assert "no lungs" in assistant.open_planner().asked[1]["comment"]


def test_replanning_is_bounded(make_assistant) -> None:
    refusing = plan_of(("refuse", {"retry": True}))
    assistant = make_assistant(refusing, refusing, refusing, refusing, refusing, max_replans=2)
    assert assistant.ask("try").outcome == "failed"
    assert len(assistant.open_planner().asked) <= 3


def test_a_follow_up_goes_on_with_new_step_ids_and_knows_earlier_results(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {})), plan_of(("wait", {"seconds": 0.1})))
    first = assistant.ask("wait")
    second = assistant.ask("again", reading=first.reading)
    assert second.text == "Volume of the phantom: 0.100 ml. [s2]"
    assert [r.id for r in assistant.open_planner().asked[1]["results"]] == ["s1"]


def test_a_follow_up_after_a_failed_turn_starts_afresh(make_assistant) -> None:
    assistant = make_assistant(plan_of(("refuse", {})), plan_of(("wait", {})))
    first = assistant.ask("try")
    second = assistant.ask("again", reading=first.reading)
    assert second.outcome == "answered"
    assert second.failures == ()


def test_an_unknown_reading_is_named(make_assistant) -> None:
    with pytest.raises(ReadingError, match="no reading '20200101-000000-abcd'"):
        make_assistant().ask("x", reading="20200101-000000-abcd")


def test_a_reading_id_cannot_leave_the_readings_folder(make_assistant) -> None:
    with pytest.raises(ReadingError, match="letters, digits and hyphens"):
        make_assistant().ask("x", reading="../../etc")


# --- approval


def test_approval_pauses_before_anything_runs_and_survives_a_restart(make_assistant, box) -> None:
    first = make_assistant(plan_of(("delicate", {})))
    waiting = first.ask("do it")
    assert waiting.outcome == "waiting"
    assert box.runs == []
    restarted = make_assistant()  # a new assistant over the same folder, as after a restart
    answer = restarted.resume(waiting.reading, decision="approve")
    assert answer.outcome == "answered"
    assert answer.text == "Volume of the phantom: 7.0 ml. [s1]"


def test_a_rejected_plan_runs_nothing(make_assistant, box) -> None:
    assistant = make_assistant(plan_of(("delicate", {})))
    waiting = assistant.ask("do it")
    answer = assistant.resume(waiting.reading, decision="reject")
    assert answer.outcome == "declined"
    assert box.runs == []


def test_a_rejected_plan_with_a_comment_is_planned_again(make_assistant, box) -> None:
    assistant = make_assistant(plan_of(("delicate", {})), plan_of(("wait", {})))
    waiting = assistant.ask("do it")
    answer = assistant.resume(waiting.reading, decision="reject", comment="only wait")
    assert answer.outcome == "answered"
    assert assistant.open_planner().asked[1]["comment"] == "only wait"


def test_an_edited_plan_runs_instead(make_assistant, box) -> None:
    assistant = make_assistant(plan_of(("delicate", {})))
    waiting = assistant.ask("do it")
    answer = assistant.resume(waiting.reading, decision="edit", plan=plan_of(("wait", {"seconds": 0.2})))
    assert answer.text == "Volume of the phantom: 0.200 ml. [s1]"
    assert answer.plan.steps[0].tool == "wait"


@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        ("no_such_tool", {}, "no tool named 'no_such_tool'"),
        ("wait", {"hours": 3}, "hours"),
        ("wait", {"after": ["@s7"]}, "refers to s7, which does not exist"),
    ],
)
def test_an_edited_plan_that_cannot_run_is_refused_and_the_pause_kept(make_assistant, box, tool, args, said) -> None:
    assistant = make_assistant(plan_of(("delicate", {})))
    waiting = assistant.ask("do it")
    with pytest.raises(ReadingError, match=said):
        assistant.resume(waiting.reading, decision="edit", plan=plan_of((tool, args)))
    assert box.runs == []
    assert assistant.resume(waiting.reading).outcome == "answered"


@pytest.mark.parametrize(("policy", "outcome"), [("auto", "answered"), ("ask-before-running", "waiting")])
def test_policy_decides_whether_a_person_is_asked(make_assistant, policy, outcome) -> None:
    assert make_assistant(plan_of(("wait", {})), approval=policy).ask("x").outcome == outcome


def test_a_finished_reading_has_nothing_to_resume(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {})))
    done = assistant.ask("wait")
    with pytest.raises(ReadingError, match="is finished; ask a follow-up"):
        assistant.resume(done.reading)


# --- attachments


def test_what_is_attached_is_told_to_the_planner_without_names_of_people(make_assistant, nifti) -> None:
    assistant = make_assistant(Clarify(question="?"))
    assistant.ask("what is it", [nifti])
    facts = assistant.open_planner().asked[0]["facts"]["img1"]
    assert (facts.kind, facts.modality, facts.dims, facts.has_spacing) == ("image", "", 3, True)


def test_the_person_may_state_a_modality_that_the_file_does_not_hold(make_assistant, nifti) -> None:
    assistant = make_assistant(Clarify(question="?"), Clarify(question="?"))
    assistant.ask("outline the brain in this MRI", [nifti])
    facts = assistant.open_planner().asked[0]["facts"]["img1"]
    assert (facts.modality, facts.modality_source) == ("MR", "stated by the person")


def test_what_a_person_says_to_a_question_goes_with_what_was_asked(make_assistant, nifti) -> None:
    assistant = make_assistant(Clarify(question="Which modality?"), plan_of(("wait", {})), plan_of(("wait", {})))
    reading = assistant.ask("Outline the brain", [nifti]).reading
    assistant.ask("It's an MRI.", reading=reading)
    assistant.ask("wait", reading=reading)
    asked = assistant.open_planner().asked
    assert [a["request"] for a in asked] == ["Outline the brain", "Outline the brain. It's an MRI.", "wait"]
    assert asked[1]["facts"]["img1"].modality == "MR"
    assert assistant.workspace(reading).volume("img1").modality == "MR"


@pytest.mark.parametrize("words", ["What is this?", "never mind, describe the image", "OK, measure it then."])
def test_who_asks_for_something_else_instead_of_answering_is_heard(make_assistant, nifti, words) -> None:
    assistant = make_assistant(Clarify(question="Which modality?"), plan_of(("wait", {})))
    reading = assistant.ask("Outline the brain", [nifti]).reading
    assistant.ask(words, reading=reading)
    assert assistant.open_planner().asked[1]["request"] == words


def test_a_missing_file_is_one_line_and_leaves_no_reading(make_assistant, tmp_path) -> None:
    assistant = make_assistant()
    with pytest.raises(AttachmentError) as caught:
        assistant.ask("x", [tmp_path / "nowhere.nii.gz"])
    assert "nowhere.nii.gz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert assistant.readings() == []
    assert list((tmp_path / "readings").iterdir()) == []


def test_two_readings_never_share_a_file(make_assistant, nifti) -> None:
    assistant = make_assistant(plan_of(("wait", {})), plan_of(("wait", {})))
    one, two = assistant.ask("a", [nifti]), assistant.ask("b", [nifti])
    assert not set(one.files) & set(two.files)
    assert one.reading != two.reading


def test_readings_at_once_do_not_mix(make_assistant, box) -> None:
    plans = [plan_of(("wait", {"seconds": 0.1 * n})) for n in range(1, 5)]
    assistants = [make_assistant(p) for p in plans]
    answers = [None] * 4

    def run(n: int) -> None:
        answers[n] = assistants[n].ask(f"request {n}")

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [a.text for a in answers] == [f"Volume of the phantom: 0.{n}00 ml. [s1]" for n in range(1, 5)]
    assert len({a.reading for a in answers}) == 4


# --- killed and full


_KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import Toolbox, ScriptedPlanner, plan_of
from types import SimpleNamespace
from agent.assistant import Assistant
from agent.settings import Settings
box = Toolbox()
assistant = Assistant(
    settings=Settings(readings_dir=Path({readings!r}), device="cpu"),
    registry=box.registry(), hub=SimpleNamespace(cards=()),
    planner=ScriptedPlanner([plan_of(("wait", {{"seconds": 0.0}}), ("wait", {{"seconds": 60.0, "after": ["@s1"]}}))]),
)
for event in assistant.stream("wait"):
    print(event.model_dump_json(), flush=True)
"""


def test_a_killed_process_resumes_without_running_finished_steps_again(make_assistant, box, tmp_path) -> None:
    code = textwrap.dedent(_KILLED).format(tests=str(Path(__file__).parent), readings=str(tmp_path / "readings"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        for line in process.stdout:
            if '"progress"' in line and '"s2"' in line:
                break
        else:
            pytest.fail("the process ended before its second step ran")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    assistant = make_assistant()  # no plan scripted: planning again would fail
    (reading,) = assistant.readings()
    before = assistant.workspace(reading).artifact("s1")
    text = (tmp_path / "readings" / reading / "artifacts" / "s1" / "artifact.json").read_text()

    # the second step takes a minute: shorten it the way a person would, by cancelling once it runs again
    def stop(event) -> None:
        if isinstance(event, Progress):
            assistant.cancel(reading)

    with pytest.raises(RunError, match="cancelled"):
        assistant.resume(reading, on_event=stop)
    assert box.runs == ["s2"]
    assert assistant.workspace(reading).artifact("s1") == before
    assert (tmp_path / "readings" / reading / "artifacts" / "s1" / "artifact.json").read_text() == text


def test_after_kill_9_in_the_middle_of_a_step_the_answer_is_that_of_an_unbroken_run(tmp_path) -> None:
    """Three real processes: one that is killed, one that resumes it, one that was never disturbed."""
    script = Path(__file__).parent / "counting.py"
    folders = tmp_path / "killed", tmp_path / "unbroken"
    for folder in folders:
        folder.mkdir()
    killed = subprocess.Popen([sys.executable, script, folders[0]], stdout=subprocess.PIPE, text=True)
    for line in killed.stdout:
        if '"progress"' in line and '"s2"' in line:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    (reading,) = (p.name for p in (folders[0] / "readings").iterdir())
    for folder in folders:
        (folder / "go").touch()

    def finished(*arguments: object) -> Answer:
        done = subprocess.run(
            [sys.executable, script, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return Answer.model_validate_json(done.stdout.splitlines()[-1])

    resumed, unbroken = finished(folders[0], reading), finished(folders[1])
    assert (folders[0] / "runs.txt").read_text().split() == ["s1", "s2", "s2", "s3"]
    assert resumed.text == unbroken.text
    assert resumed.plan == unbroken.plan
    assert [a.data for a in resumed.artifacts] == [a.data for a in unbroken.artifacts]


def test_a_full_disk_is_one_clear_line_and_keeps_what_was_computed(make_assistant, monkeypatch) -> None:
    import errno

    from tools import workspace as module

    real = module.write_atomically

    def full_for_s2(path, text):
        if "s2" in path.parts:
            with module.writing(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        real(path, text)

    monkeypatch.setattr(module, "write_atomically", full_for_s2)
    answer = make_assistant(plan_of(("wait", {}), ("wait", {"after": ["@s1"]}))).ask("wait")
    assert answer.failures[0].kind == "unavailable"
    assert answer.failures[0].message.startswith("the disk is full: could not write")
    assert "[s1]" in answer.text


def test_a_really_full_disk(tmp_path) -> None:
    """A tiny file system would need root; /dev/full says ENOSPC for real."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    from tools.workspace import writing

    with pytest.raises(UnavailableError, match="the disk is full"), writing(tmp_path):
        Path("/dev/full").write_text("x" * 100_000)


def test_an_unwritable_folder_is_one_line(tmp_path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises((UnavailableError, NotADirectoryError)):
        Workspace(blocker / "reading")


async def test_async_ask_and_stream(make_assistant) -> None:
    assistant = make_assistant(plan_of(("wait", {})), plan_of(("wait", {"seconds": 0.1})))
    answer = await assistant.aask("wait")
    assert answer.outcome == "answered"
    events = [e async for e in assistant.astream("again", reading=answer.reading)]
    assert isinstance(events[-1], Answered)
    assert events[-1].claims[0].evidence == ("s2",)


def test_making_an_assistant_loads_nothing_heavy() -> None:
    code = (
        "import sys; from readingroom import Assistant; Assistant(); "
        "print([m for m in ('torch','gradio','monai','chromadb','openai','langgraph') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_settings_refuse_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="http or https"):
        Settings(llm_base_url="localhost:8000")


def test_a_failed_step_emits_an_event(make_assistant) -> None:
    events = list(make_assistant(plan_of(("refuse", {}))).stream("try"))
    (failed,) = [e for e in events if isinstance(e, StepFailed)]
    assert (failed.step, failed.kind, failed.message) == ("s1", "unsupported", "this phantom has no lungs")
