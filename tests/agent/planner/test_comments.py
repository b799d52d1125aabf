"""A comment on a rejected plan changes the next one, without any language model to rely on."""

from __future__ import annotations

from typing import Any

import planning
import pytest

from agent.plan import Clarify, Plan
from agent.planner import Planner

pytestmark = pytest.mark.samples

REQUEST = "Segment the left lung, measure its volume and mean density, find similar reports and draft a report."


def outline(planner: Planner, request: str, comment: str) -> list[tuple[str, Any]]:
    made = planner.plan(request, planning.facts(planning.CHEST_CT), comment=comment)
    assert isinstance(made.outcome, Plan), made
    kept = ("targets", "quantities", "evidence", "query")
    assert any(made.notes)
    return [(step.tool, next((step.args[n] for n in kept if n in step.args), None)) for step in made.outcome.steps]


@pytest.mark.parametrize(
    "comment",
    ["not the left, the right lung", "the right lung, not the left", "I meant the right lung", "the right one please"],
)
def test_another_structure(default_planner: Planner, comment: str) -> None:
    assert outline(default_planner, "Measure the volume of the left lung.", comment) == [
        ("segment", ["lung_right"]),
        ("measure", ["volume"]),
    ]


@pytest.mark.parametrize(
    "comment", ["without the report", "no report please", "skip the draft", "leave out the report"]
)
def test_a_step_less(default_planner: Planner, comment: str) -> None:
    tools = [tool for tool, _ in outline(default_planner, REQUEST, comment)]
    assert tools == ["segment", "measure", "search_reports"]


def test_what_rested_on_the_step_goes_on_without_it(default_planner: Planner) -> None:
    steps = outline(default_planner, REQUEST, "don't search for similar reports")
    assert steps[-1] == ("draft_report", ["@s1", "@s2"])


def test_a_quantity_less_and_one_alone(default_planner: Planner) -> None:
    assert dict(outline(default_planner, REQUEST, "without the density"))["measure"] == ["volume"]
    assert outline(default_planner, REQUEST, "only the mean density") == [
        ("segment", ["lung_left"]),
        ("measure", ["intensity"]),
    ]


@pytest.mark.parametrize("comment", ["also give the diameter", "and the diameter too", "add the diameter"])
def test_something_more(default_planner: Planner, comment: str) -> None:
    assert outline(default_planner, "Measure the volume of the left lung.", comment) == [
        ("segment", ["lung_left"]),
        ("measure", ["volume", "diameter"]),
    ]


def test_a_comment_that_is_a_request_of_its_own(default_planner: Planner) -> None:
    steps = outline(default_planner, "Measure the left lung.", "Find reports about emphysema")
    assert steps == [("search_reports", "emphysema")]


def test_a_comment_that_changes_nothing_is_asked_about(default_planner: Planner) -> None:
    attached = planning.facts(planning.CHEST_CT)
    made = default_planner.plan("Segment the left lung.", attached, comment="without the spreadsheet")
    assert isinstance(made.outcome, Clarify)
    assert "the spreadsheet" in made.outcome.question or "“spreadsheet”" in made.outcome.question
