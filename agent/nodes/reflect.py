"""reflect: a failed step that other arguments could mend is planned again, a bounded number of times."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.state import State


def reflect(state: State, runtime: Runtime[RunContext]) -> State:
    """Leave a comment for the planner when a new plan could help; else go on to the answer."""
    results = state.get("results", {})
    mendable = [
        f"{i} {r['tool']}: {r['message']}" for i, r in results.items() if r["retry"] and r["status"] == "failed"
    ]
    replans = state.get("replans", 0)
    already = state.get("comment")
    comment = "; ".join(mendable)
    if not mendable or comment == already or replans >= runtime.context.settings.max_replans:
        return {"comment": None}
    if not runtime.context.open_planner().can_replan:
        return {"comment": None}
    return {"comment": comment, "replans": replans + 1}
