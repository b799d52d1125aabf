"""Plans changed by short commands."""

from __future__ import annotations

import pytest

from agent.edit import edited_plan
from agent.plan import Condition, Plan, Step
from tools.errors import BadInputError, NotFoundError
from tools.registry import Registry

REGISTRY = Registry.installed()
PLAN = Plan(
    steps=(
        Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["lungs"]}),
        Step(id="s2", tool="measure", args={"mask": "@s1", "quantities": ["volume"]}),
        Step(id="s3", tool="search_reports", args={"query": "lungs"}),
        Step(
            id="s4",
            tool="export",
            args={"artifacts": ["@s1"], "format": "stl"},
            when=Condition(step="s2", quantity="volume", relation="above", value=5, unit="l"),
        ),
    )
)


def edited(*edits: str, first_free: int = 1) -> dict[str, Step]:
    return {step.id: step for step in edited_plan(PLAN, edits, REGISTRY, first_free).steps}


@pytest.mark.parametrize(
    ("edit", "step", "args"),
    [
        ("set s2.quantities=volume,diameter", "s2", {"mask": "@s1", "quantities": ["volume", "diameter"]}),
        ('set s2.quantities=["volume"]', "s2", {"mask": "@s1", "quantities": ["volume"]}),
        ("set s1.targets=lung_left", "s1", {"image": "@img1", "targets": ["lung_left"]}),
        ("set s3.k=3", "s3", {"query": "lungs", "k": 3}),
        ("set s3.query=pleural effusion = old", "s3", {"query": "pleural effusion = old"}),
        ("set s2.quantities=", "s2", {"mask": "@s1"}),
    ],
)
def test_an_argument_gets_a_value_of_its_own_type(edit: str, step: str, args: dict) -> None:
    assert edited(edit)[step].args == args


def test_nothing_else_changes() -> None:
    after = edited("set s3.k=3")
    assert {i: after[i] for i in ("s1", "s2", "s4")} == {s.id: s for s in PLAN.steps if s.id != "s3"}


def test_a_step_that_nothing_works_on_can_be_dropped() -> None:
    assert list(edited("drop s3")) == ["s1", "s2", "s4"]
    assert list(edited("drop s4", "drop s2")) == ["s1", "s3"]


@pytest.mark.parametrize("edit", ["drop s1", "drop s2"])  # s4 waits for what s2 measures
def test_a_step_that_others_work_on_stays(edit: str) -> None:
    with pytest.raises(BadInputError, match=r"cannot be dropped: s2, s4 works|cannot be dropped: s4 works"):
        edited(edit)


def test_a_new_step_gets_the_next_free_id_and_can_be_worked_on_at_once() -> None:
    after = edited("add measure mask=@s1 quantities=diameter", "set s4.artifacts=@s1,@s5")
    assert after["s5"] == Step(id="s5", tool="measure", args={"mask": "@s1", "quantities": ["diameter"]})
    assert list(after).index("s5") < list(after).index("s4")
    assert "s12" in edited("add describe image=@img1", first_free=12)
    assert edited("add search_reports 'query=pleural effusion'")["s5"].args == {"query": "pleural effusion"}


def test_a_model_can_be_named_and_left_to_the_hub_again() -> None:
    assert edited("model s1=ct-body-threshold")["s1"].model == "ct-body-threshold"
    assert edited("model s1=ct-body-threshold", "model s1=")["s1"].model is None


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("", "an edit is one of: set"),
        ("remove s3", "an edit is one of: set .* got 'remove s3'"),
        ("drop s9", "the plan has no step 's9'; it has s1, s2, s3, s4"),
        ("set s2=volume", "set takes STEP.NAME=VALUE"),
        ("set s2.quantity=volume", "measure has no argument 'quantity'; it has mask"),
        ("add", "add takes a tool and its arguments"),
        ("add measure @s1", "arguments are NAME=VALUE, got '@s1'"),
        ("add measure 'mask=@s1", "No closing quotation"),
        ("model s1", "model takes STEP=CARD"),
    ],
)
def test_what_is_not_understood_is_one_line(edit: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        edited(edit)
    assert "\n" not in str(caught.value)


def test_an_unknown_tool_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="no tool named 'cure'"):
        edited("add cure image=@img1")


def test_a_plan_cannot_be_edited_away() -> None:
    with pytest.raises(BadInputError, match="leave no step; reject the plan instead"):
        edited_plan(Plan(steps=PLAN.steps[:1]), ["drop s1"], REGISTRY)
