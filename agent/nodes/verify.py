"""verify: every sentence is checked against its evidence before it is shown; what fails is held back, and said so."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.events import Evidence
from agent.state import State
from tools.grounding import evidence_in, problem_with
from tools.results import Claim


def verify(state: State, runtime: Runtime[RunContext]) -> State:
    """Hold back what its evidence does not support."""
    look_up = evidence_in(runtime.context.workspace, runtime.context.open_knowledge)
    kept, held_back = [], []
    for raw in state.get("claims", []):
        claim = Claim.model_validate(raw)
        problem = problem_with(claim, look_up)
        runtime.context.emit(Evidence(claim=claim, holds=problem is None, problem=problem or ""))
        if problem is None:
            kept.append(raw)
        else:
            held_back.append(f"{claim.text} — held back: {problem}")
    if held_back:
        runtime.context.record.append("held back", sentences=held_back)
    return {"claims": kept, "held_back": held_back}
