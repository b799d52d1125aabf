"""A person may name the model of a step: it is validated, used, costed and recorded, without the tool's doing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from agent.assistant import Assistant
from agent.costing import cost_of, step_costs
from agent.errors import ReadingError
from agent.plan import Plan, Step
from agent.replay import replay
from agent.settings import Settings
from tools.contract import Cost, ImageRef, MaskRef, ToolContext, tool
from tools.facts import AttachmentFacts
from tools.models.card import ModelCard
from tools.models.hub import Hub
from tools.preconditions import needs_model
from tools.registry import Registry
from tools.results import Measurements, ModelUse


def card(name: str, *, seconds: float = 1.0, modality: str = "CT", runtime: str = "hu_threshold") -> ModelCard:
    return ModelCard(
        name=name, title=name, verb="segment", version="1", licence="MIT", source="test", runtime=runtime,
        targets=("lungs",), modality=(modality,), dims=(3,), requires="it needs air", seconds=seconds,
    )  # fmt: skip


@tool(precheck=needs_model("segment", "targets"), cost=Cost(seconds=2))
def segment(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image")],
    targets: Annotated[list[str], Field(description="what")] = ["lungs"],  # noqa: B006
    stubborn: Annotated[bool, Field(description="take whichever model it likes")] = False,
) -> Measurements:
    """Say which model would be used."""
    hub = HUB if stubborn else ctx.hub
    choice = hub.choose("segment", ctx.workspace.image_facts(image), targets)
    use = ModelUse(card=choice.card.name, runtime=choice.card.runtime, version="1", reason=choice.reason)
    return Measurements(summary=f"Used {choice.card.name}.", rows=(), model=use)


@tool()
def measure(ctx: ToolContext, mask: Annotated[MaskRef, Field(description="the mask")]) -> Measurements:
    """Measure."""
    return Measurements(summary="Measured.", rows=())


HUB = Hub([card("quick"), card("slow", seconds=60), card("absent", runtime="none-such"), card("for-mr", modality="MR")])
REGISTRY = Registry([segment, measure])


def assistant_with(planner, folder: Path, **settings: object) -> Assistant:
    return Assistant(
        settings=Settings(readings_dir=folder / "readings", device="cpu", **settings),
        registry=REGISTRY, hub=HUB, planner=planner,
    )  # fmt: skip


class OnePlan:
    planned_by, can_replan = "script", False

    def __init__(self, plan: Plan) -> None:
        self.made = plan

    def plan(self, request, facts, **rest):
        from agent.planner import PlanningResult

        return PlanningResult(outcome=self.made, decided_by="script")


def plan_with(model: str | None, **args: object) -> Plan:
    return Plan(steps=(Step(id="s1", tool="segment", args={"image": "@img1", **args}, model=model),))


def test_the_hub_chooses_unless_a_step_names_its_model(tmp_path, nifti_ct) -> None:
    left = assistant_with(OnePlan(plan_with(None)), tmp_path).ask("segment this CT", [nifti_ct])
    named = assistant_with(OnePlan(plan_with("slow")), tmp_path).ask("segment this CT", [nifti_ct])
    assert [a.artifacts[0].provenance.model.card for a in (left, named)] == ["quick", "slow"]
    assert named.artifacts[0].provenance.model.reason == "the model that was asked for"


def test_a_person_changes_the_model_of_a_waiting_plan_and_a_replay_keeps_it(tmp_path, nifti_ct) -> None:
    assistant = assistant_with(OnePlan(plan_with(None)), tmp_path, approval="ask-before-running")
    waiting = assistant.ask("segment this CT", [nifti_ct])
    done = assistant.resume(waiting.reading, decision="edit", plan=plan_with("slow"))
    assert done.artifacts[0].summary == "Used slow."
    assert replay(assistant, done.reading).same


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("no-such", "no model named 'no-such'; for segment there are: absent, for-mr, quick, slow"),
        ("for-mr", r"img1 is CT, MR is needed: it needs air \(model for-mr\)"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_the_pause_kept(tmp_path, nifti_ct, model, said) -> None:
    assistant = assistant_with(OnePlan(plan_with(None)), tmp_path, approval="ask-before-running")
    waiting = assistant.ask("segment this CT", [nifti_ct])
    with pytest.raises(ReadingError, match=said):
        assistant.resume(waiting.reading, decision="edit", plan=plan_with(model))
    assert assistant.resume(waiting.reading).outcome == "answered"


def test_a_result_of_another_model_than_the_one_named_is_not_used(tmp_path, nifti_ct) -> None:
    answer = assistant_with(OnePlan(plan_with("slow", stubborn=True)), tmp_path).ask("segment this CT", [nifti_ct])
    assert answer.outcome == "failed"
    assert "did not work with the model 'slow' that the plan names, but with quick" in answer.failures[0].message


# --- what a plan costs and lacks

CT = AttachmentFacts(id="img1", modality="CT", dims=3, has_spacing=True)


def test_the_cost_follows_the_model() -> None:
    facts = {"img1": CT}
    assert cost_of(plan_with(None), REGISTRY, HUB, facts).seconds == 2
    assert cost_of(plan_with("slow"), REGISTRY, HUB, facts).seconds == 60


def test_a_model_that_cannot_run_here_is_lacking() -> None:
    (lack,) = cost_of(plan_with("absent"), REGISTRY, HUB, {"img1": CT}).lacks
    assert lack.startswith("s1 segment: absent needs extra; the runtime 'none-such' is not part")


def test_a_step_whose_targets_are_shared_out_lacks_only_what_no_model_here_finds() -> None:
    absent = card("absent", runtime="none-such").model_copy(update={"targets": ("lungs", "heart")})
    plan = plan_with(None, targets=["lungs", "heart"])
    (cost,) = step_costs(plan, REGISTRY, Hub([card("quick"), absent]), {"img1": CT}).values()
    assert (cost.model, cost.seconds) == ("quick", 2)
    (lack,) = cost.lacks
    assert lack.startswith("heart: absent needs extra; ")


def test_missing_spacing_and_an_unmarked_prior_are_lacking() -> None:
    steps = (*plan_with(None).steps, Step(id="s2", tool="measure", args={"mask": "@s1"}))
    facts = {"img1": CT.model_copy(update={"has_spacing": False})}
    assert cost_of(Plan(steps=steps), REGISTRY, HUB, facts).lacks == (
        "s2 measure: img1 carries no spacing, so there will be no millimetres",
    )
    in_hu = Step(id="s2", tool="measure", args={"mask": "@s1", "quantities": ["intensity"]})
    assert cost_of(Plan(steps=(steps[0], in_hu)), REGISTRY, HUB, facts).lacks == ()
    compare = Plan(steps=(Step(id="s1", tool="compare", args={"current": "@img1", "prior": "@img2"}),))
    both = {"img1": CT, "img2": CT.model_copy(update={"id": "img2"})}
    lacks = cost_of(compare, Registry.installed(), HUB, both).lacks
    assert any("img2 was not attached as the prior study" in lack for lack in lacks)
