"""act: run the steps of the plan."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.dispatch import Dispatcher
from agent.plan import Plan
from agent.state import State


def act(state: State, runtime: Runtime[RunContext]) -> State:
    """Run what has not run yet; independent steps side by side."""
    plan = Plan.model_validate(state["outcome"])
    results = Dispatcher(runtime.context).run_steps(plan.steps, state.get("results"))
    return {"results": results}
