"""A reading run again gives the same results, or says where not."""

from __future__ import annotations

import json

import pytest

from agent.errors import ReadingError
from agent.plan import Clarify, Plan, Step
from agent.replay import replay

PLAN = Plan(
    steps=(
        Step(id="s1", tool="wait", args={"seconds": 0.1}),
        Step(id="s2", tool="wait", args={"seconds": 0.0, "after": ["@s1"]}),
    )
)


def test_the_same_steps_give_the_same_results(make_assistant, nifti, box) -> None:
    assistant = make_assistant(PLAN)
    done = assistant.ask("wait", [nifti])
    report = replay(assistant, done.reading)
    assert report.steps == 2
    assert report.same
    assert box.runs == ["s1", "s2", "s1", "s2"]
    assert report.replayed_as != done.reading


def test_a_changed_value_and_a_changed_file_are_shown(make_assistant, nifti) -> None:
    assistant = make_assistant(PLAN)
    done = assistant.ask("wait", [nifti])
    folder = assistant.workspace(done.reading).step_folder("s1")
    stored = json.loads((folder / "artifact.json").read_text())
    stored["data"]["rows"][0]["value"] = 0.25
    (folder / "artifact.json").write_text(json.dumps(stored))
    (folder / "value.txt").write_text("0.25")
    differences = replay(assistant, done.reading).differences
    assert [(d.step, d.where, d.before, d.after) for d in differences] == [
        ("s1", "rows[0].value", "0.25", "0.1"),
        ("s1", "value.txt", "file", "another content"),
    ]


def test_a_reading_without_results_cannot_be_replayed(make_assistant) -> None:
    assistant = make_assistant(Clarify(question="Which?"))
    asked = assistant.ask("measure")
    with pytest.raises(ReadingError, match="no finished step"):
        replay(assistant, asked.reading)
