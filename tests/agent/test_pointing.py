"""What a person pointed at becomes the prompt of `segment`."""

import pytest

from agent.plan import Clarify, Plan, Step
from agent.pointing import DEFAULT_NAME, Pointed, asked_plan, with_prompts
from tools.verbs.prompting import SegmentPrompt

POINT = Pointed(image="img1", prompt=SegmentPrompt(points=[[12, 30, 4]]))
BOX = Pointed(image="img2", prompt=SegmentPrompt(box=[[1, 2, 3], [9, 8, 7]]))


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("Segment what I clicked.", DEFAULT_NAME),
        ("segment this", DEFAULT_NAME),
        ("Please outline the thing I pointed at", DEFAULT_NAME),
        ("Segment the nodule I marked", "nodule"),
        ("Outline the liver in the box.", "liver"),
        ("segment the structure here", DEFAULT_NAME),
    ],
)
def test_a_request_about_what_was_pointed_at_is_a_plan_of_its_own(request_, name):
    plan = asked_plan(request_, [POINT], first_step=3)
    assert plan is not None
    assert plan.steps[0].id == "s3"
    assert plan.steps[0].args == {"image": "@img1", "targets": [name], "prompt": {"points": [[12.0, 30.0, 4.0]]}}


@pytest.mark.parametrize(
    "request_", ["Segment the lungs.", "Segment what I clicked and measure it.", "What is this?", "Measure this."]
)
def test_other_requests_are_the_planners(request_):
    assert asked_plan(request_, [POINT], 1) is None


def test_nothing_pointed_at_is_no_plan():
    assert asked_plan("Segment what I clicked.", [], 1) is None


def test_each_image_gets_its_step():
    plan = asked_plan("Segment what I marked.", [POINT, BOX], 1)
    assert [(s.id, s.args["image"]) for s in plan.steps] == [("s1", "@img1"), ("s2", "@img2")]
    assert plan.steps[1].args["prompt"] == {"box": [[1, 2, 3], [9, 8, 7]]}


def test_a_planners_step_gets_the_prompt_of_its_image():
    steps = (
        Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["liver"]}),
        Step(id="s2", tool="measure", args={"mask": "@s1"}),
    )
    plan, notes = with_prompts(Plan(steps=steps), [POINT])
    assert plan.steps[0].args["prompt"] == {"points": [[12.0, 30.0, 4.0]]}
    assert plan.steps[1] == steps[1]
    assert notes == ()


def test_what_no_step_uses_is_said():
    several = Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["lung_left", "lung_right"]})
    plan, notes = with_prompts(Plan(steps=(several,)), [POINT])
    assert plan.steps == (several,)
    assert "img1 is used by no step" in notes[0]
    question = Clarify(question="Which?")
    assert with_prompts(question, [POINT]) == (question, ())
