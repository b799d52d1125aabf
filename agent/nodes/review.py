"""review: the plan is shown and, where policy says so, waits for a person. A pause is a saved state, not a thread."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from agent.context import RunContext
from agent.costing import cost_of
from agent.nodes.plan import A_PERSON, planned_event
from agent.pausing import Pause, reasons_to_ask
from agent.plan import Decline, Plan
from agent.state import State


def review(state: State, runtime: Runtime[RunContext]) -> State:
    """Go on, or pause until a person approves, edits or rejects the plan."""
    run = runtime.context
    plan = Plan.model_validate(state["outcome"])
    if state.get("decided_by") == A_PERSON:
        return {"decision": "approve", "comment": None}
    reasons = reasons_to_ask(plan, run.registry, run.settings, run.approval)
    if not reasons:
        return {"decision": "approve", "comment": None}
    cost = cost_of(plan, run.registry, run.hub, run.workspace.every_facts())
    pause = Pause(
        plan=plan,
        reasons=reasons,
        estimated_seconds=cost.seconds,
        device_memory_mb=cost.device_memory_mb,
        lacks=cost.lacks,
    )
    answer = interrupt(pause.model_dump(mode="json"))
    if answer["decision"] == "edit":
        return _edited(answer, state, run)
    run.record.append("decision", **answer)
    if answer["decision"] == "reject":
        return _rejected(state, answer.get("comment"))
    return {"decision": "approve", "comment": None}


def _edited(answer: dict[str, Any], state: State, run: RunContext) -> State:
    """Run the person's own plan; it is not asked about again."""
    plan = Plan.model_validate(answer["plan"])
    cost = cost_of(plan, run.registry, run.hub, run.workspace.every_facts())
    run.record.append("decision", **answer, cost=asdict(cost))
    run.emit(planned_event(plan, cost, A_PERSON, 0.0))
    steps = [*_already_run(state), *answer["plan"]["steps"]]
    return {"decision": "approve", "comment": None, "outcome": answer["plan"], "all_steps": steps}


def _rejected(state: State, comment: str | None) -> State:
    """Plan again with the person's comment; without one there is nothing to go by, so nothing runs."""
    kept = _already_run(state)
    if comment:
        return {"decision": "reject", "comment": comment, "all_steps": kept}
    refusal = Decline(reason="The plan was rejected, so nothing was run. Say what should be different to plan again.")
    return {"decision": "reject", "comment": None, "all_steps": kept, "outcome": refusal.model_dump(mode="json")}


def _already_run(state: State) -> list[dict[str, Any]]:
    """Return the steps of this turn that ran before the plan was changed: a replan does not make them undone."""
    return [step for step in state.get("all_steps", []) if step["id"] in state.get("results", {})]
