"""Evaluation of plans: what counts as right, the shape of the report, and the figures that must hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import planning
import pytest

from agent.errors import ConfigError
from agent.evals import CaseResult, PlanCase, evaluate_plans, read_cases
from agent.plan import Clarify, Plan, Step
from agent.planner import Planner


def case(**more: Any) -> PlanCase:
    return PlanCase.model_validate({"id": "c", "request": "r", "outcome": "plan", **more})


def plan(*steps: tuple[str, str, dict[str, Any]]) -> Plan:
    return Plan(steps=tuple(Step(id=i, tool=t, args=a) for i, t, a in steps))


CHAIN = plan(
    ("s1", "segment", {"image": "@img1", "targets": ["kidney_left", "kidney_right"]}),
    ("s2", "measure", {"mask": "@s1"}),
    ("s3", "search_reports", {"query": "x"}),
)


@pytest.mark.parametrize(
    ("accepted", "right"),
    [
        ([["segment", "measure", "search_reports"]], True),
        ([["search_reports", "segment", "measure"]], True),
        ([["segment", "search_reports", "measure"]], True),
        ([["measure", "segment", "search_reports"]], False),
        ([["segment", "measure"]], False),
        ([["segment", "measure", "search_reports", "search_reports"]], False),
        ([["describe"], ["segment", "measure", "search_reports"]], True),
    ],
)
def test_sequences_in_any_order_that_the_references_allow(accepted: list[list[str]], right: bool) -> None:
    assert CaseResult(case(tools=accepted), CHAIN).is_correct is right


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ({"segment": {"targets": ["kidney_right"]}}, True),
        ({"segment": {"targets": ["liver"]}}, False),
        ({"search_reports": {"query": "X"}}, True),
        ({"search_reports": {"k": 3}}, False),
        ({}, None),
    ],
)
def test_arguments_that_must_be_there(wanted: dict[str, Any], right: bool | None) -> None:
    made = CaseResult(case(tools=[["segment", "measure", "search_reports"]], args=wanted), CHAIN)
    assert made.has_right_args is right


def test_wrong_outcome_is_wrong() -> None:
    assert not CaseResult(case(tools=[["segment"]]), Clarify(question="?")).is_correct
    assert CaseResult(case(outcome="clarify"), Clarify(question="?")).is_correct
    assert not CaseResult(case(outcome="decline"), Clarify(question="?")).is_correct


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no cases"),
        ("{", "line 1"),
        ('{"id": "a", "request": "r", "outcome": "maybe"}', "line 1: outcome"),
        ('{"id": "a", "request": "r", "outcome": "plan", "colour": 1}', "colour"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_cases(path)
    with pytest.raises(ConfigError, match="could not be read"):
        read_cases(tmp_path / "none.jsonl")


@pytest.mark.samples
def test_report_has_the_agreed_shape(default_planner: Planner, tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    attached = [planning.CHEST_CT.model_dump()]
    lines = [
        {"id": "a", "request": "Segment the lungs.", "attachments": attached, "outcome": "plan", "tools": [["segment"]],
         "args": {"segment": {"targets": ["lungs"]}}},
        {"id": "b", "request": "What is the weather?", "attachments": [], "outcome": "decline"},
        {"id": "c", "request": "Segment the lungs.", "attachments": attached, "outcome": "clarify"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    report = json.loads(json.dumps(evaluate_plans(path, default_planner).to_json()))
    assert {k: report[k] for k in ("cases", "correct", "accuracy", "args_accuracy")} == {
        "cases": 3, "correct": 2, "accuracy": 0.6667, "args_accuracy": 1.0,
    }  # fmt: skip
    assert report["median_seconds"] > 0
    assert report["baselines"]["always segment"] == pytest.approx(1 / 3, abs=1e-4)
    assert report["per_verb"]["segment"] == {"correct": 1, "cases": 1}
    assert report["confusion"]["clarify"] == {"segment": 1}
    first = report["results"][0]
    assert (first["id"], first["correct"], first["tools"], first["decided_by"]) == ("a", True, ["segment"], "examples")


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "accuracy", "arguments"),
    [
        ("plans_tune", 0.94, 0.94),
        ("plans_heldout", 0.94, 0.90),
        ("plans_second", 0.94, 0.90),
        ("plans_third", 0.92, 0.88),
        ("plans_blind_h6", 0.88, 0.7),
        ("plans_blind_h7", 0.88, 0.85),
        ("plans_blind_h8", 0.88, 0.85),
        ("plans_blind_m1", 0.94, 0.95),
        ("plans_blind_m2", 0.94, 0.95),
        ("plans_blind_m3", 0.94, 0.90),
        ("plans_blind_m4", 0.95, 0.95),
    ],
)
def test_the_planner_holds_its_figures(default_planner: Planner, name: str, accuracy: float, arguments: float) -> None:
    report = evaluate_plans(planning.EVALS / f"{name}.jsonl", default_planner)
    wrong = [r.case.request for r in report.results if not r.is_correct]
    assert report.accuracy >= accuracy, wrong
    assert report.args_accuracy is not None
    assert report.args_accuracy >= arguments
    assert report.accuracy > report.baselines["nearest example copied"]
