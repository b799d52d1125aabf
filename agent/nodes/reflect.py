"""reflect: a failed step that other arguments could mend is planned again, a bounded number of times."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.nodes.plan import A_PERSON
from agent.state import State


def reflect(state: State, runtime: Runtime[RunContext]) -> State:
    """Leave a comment for the planner when a new plan could help; else go on to the answer."""
    results = [(s["id"], state["results"][s["id"]]) for s in state["outcome"]["steps"]]
    mendable = [
        f"{step_id} {r['tool']}: {_nameless(r['message'], runtime.context)}" for step_id, r in results if r["retry"]
    ]
    replans = state.get("replans", 0)
    if state.get("decided_by") == A_PERSON:
        return {"comment": None}  # a person's own plan is not changed behind their back
    if not mendable or replans >= runtime.context.settings.max_replans:
        return {"comment": None}
    if not runtime.context.open_planner().can_replan:
        return {"comment": None}
    return {"comment": "; ".join(mendable), "replans": replans + 1}


def _nameless(message: str, run: RunContext) -> str:
    """Return a message with the ids of attachments for the names of their files, which whoever made them chose."""
    for attachment in run.workspace.attachments():
        message = message.replace(attachment.file, attachment.id)
    return message
