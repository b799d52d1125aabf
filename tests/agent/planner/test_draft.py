"""The embedded model writes whole plans, in compact form, under a schema of the tools in question."""

from __future__ import annotations

from typing import Any

import planning
import pytest

from agent.errors import LLMUnavailableError, ModelBehaviorError
from agent.plan import Clarify, Decline, Plan, Step
from agent.planner import Planner
from agent.planner.decide import is_in_doubt, takes_draft
from agent.planner.draft import Draft
from agent.planner.short_plan import choices_of, read_short, short_schema
from agent.planner.text import Clause
from agent.planner.understand import Option, Understanding
from agent.testing import ScriptedLLM

LUNGS = {"steps": [{"tool": "segment", "targets": ["lungs"]}, {"tool": "measure", "quantities": ["volume"]}]}


def schema_of(request: str, *names: str) -> dict[str, Any]:
    tools = [planning.registry().get(name) for name in names]
    return short_schema(tools, {t.name: choices_of(t, request, request) for t in tools}, ["treatment"], 4)


def test_the_schema_holds_only_tools_in_question_and_values_that_were_said() -> None:
    schema = schema_of("Volume of the liver and the spleen as csv", "segment", "measure", "export")
    steps = {s["properties"]["tool"]["const"]: s for s in schema["anyOf"][0]["properties"]["steps"]["items"]["anyOf"]}
    assert set(steps) == {"segment", "measure", "export"}
    assert steps["segment"]["properties"]["targets"]["items"]["enum"] == ["liver", "spleen"]
    assert steps["segment"]["required"] == ["tool", "targets"]
    assert steps["measure"]["properties"]["quantities"]["items"]["enum"] == ["volume"]
    assert steps["measure"]["required"] == ["tool"]
    assert steps["export"]["properties"]["format"]["enum"] == ["csv"]
    assert schema["anyOf"][1]["properties"]["decline"]["enum"] == ["treatment"]


def test_an_argument_that_nothing_was_said_of_cannot_be_written() -> None:
    schema = schema_of("Segment it", "segment")
    step = schema["anyOf"][0]["properties"]["steps"]["items"]["anyOf"][0]
    assert list(step["properties"]) == ["tool"]


@pytest.mark.parametrize("data", [None, [], {}, {"steps": []}, {"steps": [{"tool": "other"}]}, {"steps": "segment"}])
def test_what_is_no_plan_is_refused(data: Any) -> None:
    with pytest.raises(ModelBehaviorError, match="not of the form asked for"):
        read_short(data, {"segment": {"targets": ["lungs"]}})


def test_repeated_steps_and_values_count_once() -> None:
    step = {"tool": "segment", "targets": ["lungs", "lungs"]}
    calls = read_short({"steps": [step, step]}, {"segment": {"targets": ["lungs"]}})
    assert [(c.tool, c.args) for c in calls] == [("segment", {"targets": ["lungs"]})]


@pytest.mark.samples
def test_the_model_alone_writes_the_plan_and_the_data_flow_completes_it(minilm: Any, kept_examples: Any) -> None:
    llm = ScriptedLLM([LUNGS], can_write=False, name="small")
    made = planning.planner(llm, minilm, route="llm", cache_dir=kept_examples).plan(
        "Lung volume?", planning.facts(planning.CHEST_CT)
    )
    assert planning.steps_of(made.outcome) == [
        ("segment", {"image": "@img1", "targets": ["lungs"]}),
        ("measure", {"mask": "@s1", "quantities": ["volume"]}),
    ]
    assert made.decided_by == "llm small"
    (call,) = made.calls
    assert call["prompt"] == "plan_short@1"
    assert call["taken"] is True
    assert "segment" in call["wrote"]
    (ask,) = llm.calls
    assert ask.messages[0]["role"] == "system"
    assert "image ct chest" in str(ask.messages[0]["content"])
    assert ask.messages[-1]["content"] == "Lung volume."
    assert {m["role"] for m in ask.messages[1::2]} == {"user"}


@pytest.mark.samples
def test_the_model_may_decline_and_is_held_by_preconditions(minilm: Any, kept_examples: Any) -> None:
    llm = ScriptedLLM([{"decline": "treatment"}, {"steps": [{"tool": "synthesize"}]}], can_write=False)
    planner = planning.planner(llm, minilm, route="llm", cache_dir=kept_examples)
    declined = planner.plan("Kindly see to what helps him", planning.facts(planning.FILM)).outcome
    assert isinstance(declined, Decline)
    assert "treating physician" in declined.reason
    made = planner.plan("Make an x-ray of this MR.", planning.facts(planning.BRAIN_MR)).outcome
    assert isinstance(made, Decline)
    assert "CT is needed" in made.reason


@pytest.mark.samples
def test_a_clear_request_is_not_put_to_the_model(minilm: Any, kept_examples: Any) -> None:
    llm = ScriptedLLM([], can_write=False)
    made = planning.planner(llm, minilm, cache_dir=kept_examples).plan(
        "Segment the lungs.", planning.facts(planning.CHEST_CT)
    )
    assert (made.decided_by, llm.calls) == ("examples", [])


DRAFTED = Plan(steps=(Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["liver"]}),))


def understood(outcome: Plan | Clarify | Decline, *scores: float) -> Understanding:
    return Understanding(outcome, 0.0, tuple((Clause("a part"), (Option("segment", score),)) for score in scores))


@pytest.mark.parametrize(
    ("outcome", "scores", "in_doubt"),
    [
        (DRAFTED, (0.9, 0.4), False),
        (DRAFTED, (0.9, 0.3), True),
        (Clarify(question="?"), (0.6,), False),
        (Clarify(question="?"), (0.45,), True),
        (Decline(reason="no"), (0.45,), False),
        (Clarify(question="?"), (), False),
    ],
)
def test_when_the_model_is_asked(outcome: Any, scores: tuple[float, ...], in_doubt: bool) -> None:
    assert is_in_doubt(understood(outcome, *scores)) is in_doubt


@pytest.mark.parametrize(
    ("draft", "taken"),
    [
        (Draft(DRAFTED, mean_logprob=-0.05), True),
        (Draft(DRAFTED, mean_logprob=-0.9), False),
        (Draft(DRAFTED), False),
        (Draft(Clarify(question="?"), mean_logprob=-0.01), False),
        (Draft(None, note="no answer"), False),
    ],
)
def test_when_the_plan_of_the_model_is_taken(draft: Draft, taken: bool) -> None:
    assert takes_draft(understood(Clarify(question="?"), 0.3), draft) is taken
    assert not takes_draft(understood(Decline(reason="no"), 0.3), draft)
    assert not takes_draft(understood(DRAFTED, 0.9), draft)


@pytest.mark.samples
def test_a_model_that_fails_leaves_the_examples_and_says_so(minilm: Any, kept_examples: Any) -> None:
    llm = ScriptedLLM([LLMUnavailableError("weights missing")], can_write=False, name="small")
    made = planning.planner(llm, minilm, cache_dir=kept_examples).plan(
        "Do the thing with the liver and write it down in numbers for the board", planning.facts(planning.ABDOMEN_CT)
    )
    assert made.decided_by == "examples"
    assert any("could not be asked (weights missing)" in note for note in made.notes)


@pytest.mark.samples
def test_the_model_alone_failing_is_a_question_back(minilm: Any, kept_examples: Any) -> None:
    llm = ScriptedLLM(["no json"], can_write=False, name="small")
    made = planning.planner(llm, minilm, route="llm", cache_dir=kept_examples).plan(
        "Lungs", planning.facts(planning.CHEST_CT)
    )
    assert isinstance(made.outcome, Clarify)
    assert "small" in made.outcome.question


DEMO = (
    "Segment the lungs in this CT, measure their volume and mean density, find similar reports and draft findings and "
    "impression."
)
SIMPLE: list[tuple[str, list[Any], list[str]]] = [
    (DEMO, [planning.CHEST_CT], ["segment", "measure", "search_reports", "draft_report"]),
    ("Describe this image.", [planning.CHEST_CT], ["describe"]),
    ("Segment the liver.", [planning.ABDOMEN_CT], ["segment"]),
    ("What is the volume of the spleen?", [planning.ABDOMEN_CT], ["segment", "measure"]),
    ("Find reports about pleural effusion.", [], ["search_reports"]),
    ("Segment the lungs and save the mask as NIfTI.", [planning.CHEST_CT], ["segment", "export"]),
    ("Is there a pneumothorax on this x-ray?", [planning.FILM], ["classify"]),
    ("Where are the lung nodules?", [planning.CHEST_CT], ["detect"]),
    ("Compare with the previous scan.", [planning.CHEST_CT, planning.PRIOR_CT], ["compare"]),
    ("Remove the noise from this scan.", [planning.CHEST_CT], ["enhance"]),
    ("Anonymise this image.", [planning.FILM], ["deidentify"]),
]


@pytest.fixture(scope="module")
def llm_planner(minilm: Any, sample: Any, kept_examples: Any) -> Planner:
    from agent.llm.embedded import EmbeddedLLM

    weights = sample("smollm2", "model.gguf")
    return planning.planner(EmbeddedLLM(lambda: weights, timeout_s=120.0), minilm, route="llm", cache_dir=kept_examples)


@pytest.mark.llm
@pytest.mark.samples
@pytest.mark.parametrize(("request_text", "attached", "tools"), SIMPLE)
def test_the_embedded_model_itself_plans_right(
    llm_planner: Planner, request_text: str, attached: list[Any], tools: list[str]
) -> None:
    made = llm_planner.plan(request_text, planning.facts(*attached))
    assert made.decided_by.startswith("llm SmolLM2"), made
    assert isinstance(made.outcome, Plan), made
    assert [step.tool for step in made.outcome.steps] == tools
