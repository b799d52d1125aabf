"""Lets an LLM write the plan: prompt, decoding under the schema, validation, one repair round."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import ModelBehaviorError
from agent.llm.chat import Ask, ChatModel, Message
from agent.plan import Clarify, Decline, Plan, Step
from agent.planner.examples import Near
from agent.planner.grammar import plan_schema, without_nulls
from agent.planner.situation import PriorResult, Situation
from agent.planner.validate import Problem, Validator
from prompts import load
from tools.contract import Tool
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.hub import Hub

MAX_TOKENS = 1500
ATTEMPTS = 2  # the first, and one with the reason why it does not hold


@dataclass(frozen=True)
class Written:
    """What an LLM wrote, after validation."""

    outcome: Plan | Clarify | Decline
    attempts: int
    calls: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Material:
    """What an LLM gets to plan from."""

    request: str
    situation: Situation
    nearest: Sequence[Near]
    suggestion: Plan | Clarify | Decline | None = None
    comment: str | None = None


class PlanWriter:
    """Asks an LLM for plans.

    Args:
        llm: the language model.
        registry: the tools.
        hub: the models.
        max_steps: how many steps a plan may have.
    """

    def __init__(self, llm: ChatModel, registry: Registry, hub: Hub, max_steps: int) -> None:
        self._llm = llm
        self._registry = registry
        self._hub = hub
        self._max_steps = max_steps

    def write(self, material: Material, validator: Validator) -> Written:
        """Return a valid plan, a question or a refusal; never a plan that failed validation.

        Raises:
            LLMUnavailableError: the endpoint does not answer.
        """
        prompt = load("plan")
        schema = plan_schema(self._registry, material.situation, self._hub, self._max_steps)
        messages: list[Message] = [{"role": "user", "content": self._prompt(material)}]
        calls: list[Mapping[str, Any]] = []
        problem = Problem("mendable", "no answer")
        for attempt in range(1, ATTEMPTS + 1):
            ask = Ask(messages, schema=schema, max_tokens=MAX_TOKENS, purpose=f"plan@{prompt.version}")
            text = ""
            try:
                reply = self._llm.chat(ask, calls.append)
                text = reply.text
                outcome = read_outcome(reply.json())
            except ModelBehaviorError as error:
                problem = Problem("mendable", str(error))
            else:
                found = validator.problem(outcome) if isinstance(outcome, Plan) else None
                if found is None:
                    return Written(outcome, attempt, tuple(calls))
                problem = found
            messages = [*messages, {"role": "assistant", "content": text or "(nothing usable)"}, _repair(problem)]
        return Written(_given_up(problem), ATTEMPTS, tuple(calls))

    def _prompt(self, material: Material) -> str:
        situation = material.situation
        suggestion = material.suggestion
        comment = json.dumps(material.comment, ensure_ascii=False) if material.comment else ""
        return load("plan").render(
            tools="\n".join(_listed(tool) for tool in self._registry),
            attachments="\n".join(_attached(situation)) or "nothing",
            results="\n".join(_made(result) for result in situation.results) or "none",
            examples="\n".join(_example(near) for near in material.nearest) or "none",
            suggestion=f"A rule-based planner suggests: {suggestion.model_dump_json()}" if suggestion else "",
            request=json.dumps(material.request, ensure_ascii=False),
            first_step=f"s{situation.first_step}",
            comment=f"The last plan must change: {comment}\n" if comment else "",
        )


def read_outcome(data: Any) -> Plan | Clarify | Decline:
    """Return the outcome that an LLM wrote.

    Raises:
        ModelBehaviorError: it contradicts itself or is not of the form asked for.
    """
    if not isinstance(data, dict):
        raise ModelBehaviorError(f"the plan must be a JSON object, got {type(data).__name__}")
    message = str(data.get("message") or "").strip()
    if data.get("outcome") == "clarify":
        return Clarify(question=message or "What should be done, and with which image?")
    if data.get("outcome") == "decline":
        return Decline(reason=message or "This cannot be done here.")
    try:
        steps = tuple(
            Step(id=step["id"], tool=step["tool"], args=without_nulls(step.get("args") or {}), when=step.get("when"))
            for step in data.get("steps") or ()
        )
        return Plan(steps=steps)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelBehaviorError(f"the plan is not of the form asked for: {str(error).splitlines()[0]}") from None


def _repair(problem: Problem) -> Message:
    return {"role": "user", "content": load("plan_repair").render(problem=problem.message)}


def _given_up(problem: Problem) -> Clarify | Decline:
    if problem.kind == "refuse":
        return Decline(reason=problem.message)
    if problem.kind == "ask":
        return Clarify(question=problem.message)
    return Clarify(question=f"No plan that holds could be made ({problem.message}). Can you say it in other words?")


def _listed(tool: Tool) -> str:
    schema = tool.args_schema
    described = [
        f"{name}{'' if name in schema.get('required', ()) else '?'}: {prop.get('description', '')}"
        for name, prop in schema.get("properties", {}).items()
    ]
    return f"- {tool.name}: {tool.description} Arguments: {'; '.join(described) or 'none'}"


def _attached(situation: Situation) -> list[str]:
    lines = []
    for facts in situation.facts.values():
        known = [facts.modality, facts.body_part.lower(), f"{facts.dims}-D" if facts.dims else ""]
        known += ["the prior study"] if facts.prior else []
        known += [f"of {facts.of}, outlines {facts.label or 'something'}"] if facts.kind == "mask" else []
        lines.append(f"- {facts.id}: {facts.kind}, {', '.join(k for k in known if k) or 'nothing else known'}")
    return lines


def _made(result: PriorResult) -> str:
    """Return what a plan may rest on; a tool's own words stay out, for they may quote a report, a file or a model."""
    of = f" of {', '.join(result.targets)}" if result.targets else ""
    return f"- {result.id}: {result.kind} by {result.tool}{of}"


def _example(near: Near) -> str:
    if not near.calls:
        return f"- {near.request} → decline"
    steps = [{"id": f"s{n}", "tool": c.tool, "args": c.args} for n, c in enumerate(near.calls, start=1)]
    return f"- {near.request} → {json.dumps(steps, ensure_ascii=False)}"
