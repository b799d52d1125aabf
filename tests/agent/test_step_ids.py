"""A step beside a plan never gets an id that something else has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.plan import Step
from agent.record import RunRecord
from agent.step_ids import next_number, reserve_step
from tools.workspace import Workspace


@pytest.fixture
def reading(tmp_path):
    workspace = Workspace(tmp_path / "reading")
    return workspace, RunRecord(workspace.root / "record.jsonl")


def plan(record: RunRecord, *ids: str) -> None:
    steps = [Step(id=i, tool="segment", args={}).model_dump(mode="json") for i in ids]
    record.append("plan", request="", outcome={"outcome": "plan", "steps": steps}, decided_by="a test")


def test_the_first_is_s1_and_none_is_given_twice(reading):
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: reserve_step(*reading), range(20)))
    assert sorted(given, key=lambda s: int(s[1:])) == [f"s{n}" for n in range(1, 21)]


def test_a_plan_that_waits_keeps_its_ids(reading):
    plan(reading[1], "s1", "s2", "s3")
    assert reserve_step(*reading) == "s4"


def test_a_run_that_has_made_nothing_yet_keeps_its_own(reading):
    reading[0].step_folder("s7")
    assert reserve_step(*reading) == "s8"


def test_a_plan_does_not_take_the_id_of_a_step_at_work_beside_it(reading):
    taken = reserve_step(*reading)
    assert taken == "s1"
    assert next_number(reading[0]) == 2
    assert next_number(reading[0], ["s2", "s11"]) == 12
