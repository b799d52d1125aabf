"""No plan that cannot be run gets past the checks, whoever wrote it."""

from __future__ import annotations

from typing import Any

import planning
import pytest

from agent.plan import Plan, Step
from agent.planner.situation import PriorResult, Situation
from agent.planner.validate import Limits, Validator

SEGMENT = ("segment", {"image": "@img1", "targets": ["lungs"]})


def problem(
    *steps: tuple[str, str, dict[str, Any]],
    attached: Any = None,
    results: tuple[PriorResult, ...] = (),
    first: int = 1,
    limits: Limits | None = None,
) -> tuple[str, str] | None:
    situation = Situation(planning.facts(*(attached or [planning.CHEST_CT])), results, first)
    validator = Validator(planning.registry(), planning.hub(), situation, limits or Limits())
    found = validator.problem(Plan(steps=tuple(Step(id=i, tool=t, args=a) for i, t, a in steps)))
    return (found.kind, found.message) if found else None


def test_a_sound_plan_passes() -> None:
    assert problem(("s1", *SEGMENT), ("s2", "measure", {"mask": "@s1", "quantities": ["volume"]})) is None


@pytest.mark.parametrize(
    ("steps", "kind", "message"),
    [
        ([("s1", "fly", {})], "mendable", "no tool named 'fly'"),
        ([("s1", "segment", {"image": "@img1", "organ": "lungs"})], "mendable", "organ"),
        ([("s1", "segment", {"image": "@img1", "targets": "lungs"})], "mendable", "targets"),
        ([("s1", "describe", {"image": "@img7"})], "mendable", "refers to img7, which does not exist before it"),
        ([("s1", "describe", {"image": "img7"})], "mendable", "'img7', which does not exist"),
        ([("s1", "measure", {"mask": "@s2"}), ("s2", *SEGMENT)], "mendable", "refers to s2"),
        ([("s1", "measure", {"mask": "@s1"})], "mendable", "refers to s1"),
        ([("s1", *SEGMENT), ("s1", *SEGMENT)], "mendable", "step id 's1' is taken"),
        ([("s1", "measure", {"mask": "@img1"})], "mendable", "mask must be mask, img1 is image"),
        ([("s1", "synthesize", {"image": "@mask1"})], "mendable", "image must be image, mask1 is mask"),
    ],
)
def test_what_another_plan_could_mend(steps: list[Any], kind: str, message: str) -> None:
    found = problem(*steps, attached=[planning.CHEST_CT, planning.MASK])
    assert found is not None
    assert found[0] == kind
    assert message in found[1]


def test_wrong_modality_is_refused_with_the_reason() -> None:
    found = problem(("s1", "synthesize", {"image": "@img1"}), attached=[planning.BRAIN_MR])
    assert found == (
        "refuse",
        "synthesize cannot be run: img1 is MR, CT is needed: X-rays are simulated from Hounsfield units.",
    )


def test_unknown_modality_is_asked_for() -> None:
    unknown = planning.CHEST_CT.model_copy(update={"modality": ""})
    found = problem(("s1", "synthesize", {"image": "@img1"}), attached=[unknown])
    assert found is not None
    assert found[0] == "ask"
    assert "Which modality is img1?" in found[1]


def test_an_image_that_a_step_makes_keeps_its_modality() -> None:
    denoise = ("s1", "enhance", {"image": "@img1", "operation": "denoise"})
    bias = ("s2", "enhance", {"image": "@s1", "operation": "bias_correction"})
    assert problem(denoise, bias, attached=[planning.BRAIN_MR]) is None
    found = problem(denoise, bias, attached=[planning.CHEST_CT])
    assert found is not None
    assert "exists only in MR" in found[1]


def test_ids_of_the_reading_are_not_used_again() -> None:
    earlier = (PriorResult("s1", "segment", "mask"),)
    assert problem(("s2", "measure", {"mask": "@s1"}), results=earlier, first=2) is None
    found = problem(("s1", "measure", {"mask": "@s1"}), results=earlier, first=2)
    assert found is not None
    assert "number steps from s2" in found[1]


def test_budget_of_steps_and_seconds() -> None:
    steps = [(f"s{n}", "describe", {"image": "@img1"}) for n in range(1, 4)]
    found = problem(*steps, limits=Limits(max_steps=2))
    assert found is not None
    assert "3 steps, 2 are allowed" in found[1]
    register = ("s1", "train", {"examples": ["@mask1"], "target": "lungs"})
    found = problem(register, attached=[planning.CHEST_CT, planning.MASK], limits=Limits(max_seconds=60))
    assert found is not None
    assert found[0] == "ask"
    assert "300 s, 60 s are allowed" in found[1]
