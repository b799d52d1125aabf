"""review: the plan is shown and, where policy says so, waits for a person. A pause is a saved state, not a thread."""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from agent.context import RunContext
from agent.plan import Decline, Plan
from agent.state import State


def review(state: State, runtime: Runtime[RunContext]) -> State:
    """Go on, or pause until a person approves, edits or rejects the plan."""
    run = runtime.context
    plan = Plan.model_validate(state["outcome"])
    if not _needs_approval(plan, run):
        return {"decision": "approve", "comment": None}
    answer = interrupt({"plan": plan.model_dump(mode="json")})
    run.record.append("decision", **answer)
    if answer["decision"] == "edit":
        edited = answer["plan"]
        return {"decision": "approve", "comment": None, "outcome": edited, "all_steps": edited["steps"]}
    if answer["decision"] == "reject":
        return _rejected(answer.get("comment"))
    return {"decision": "approve", "comment": None}


def _rejected(comment: str | None) -> State:
    """Plan again with the person's comment; without one there is nothing to go by, so nothing runs."""
    if comment:
        return {"decision": "reject", "comment": comment, "all_steps": []}
    refusal = Decline(reason="The plan was rejected, so nothing was run. Say what should be different to plan again.")
    return {"decision": "reject", "comment": None, "all_steps": [], "outcome": refusal.model_dump(mode="json")}


def _needs_approval(plan: Plan, run: RunContext) -> bool:
    policy = run.settings.approval
    if policy == "ask-before-running" or any(run.registry.get(s.tool).needs_approval for s in plan.steps):
        return True
    return policy == "ask-before-export" and any(s.tool == "export" for s in plan.steps)
