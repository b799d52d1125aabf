"""verify: every sentence is checked against its evidence before it is shown; what fails is held back, and said so."""

from __future__ import annotations

from collections.abc import Callable

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.state import State
from knowledge.errors import NotFoundError
from tools.grounding import Evidence, problem_with, quantities_in
from tools.results import Claim


def verify(state: State, runtime: Runtime[RunContext]) -> State:
    """Hold back what its evidence does not support."""
    look_up = evidence_of(runtime.context)
    kept, held_back = [], []
    for raw in state.get("claims", []):
        claim = Claim.model_validate(raw)
        problem = problem_with(claim, look_up)
        if problem is None:
            kept.append(raw)
        else:
            held_back.append(f"{claim.text} — held back: {problem}")
    if held_back:
        runtime.context.record.append("held back", sentences=held_back)
    return {"claims": kept, "held_back": held_back}


def evidence_of(run: RunContext) -> Callable[[str], Evidence | None]:
    """Return a look-up of what an evidence id holds in this reading and its report store."""
    facts = run.workspace.facts()

    def look_up(evidence_id: str) -> Evidence | None:
        if evidence_id in facts:
            return Evidence(tuple(quantities_in(facts[evidence_id].model_dump(mode="json"))))
        if run.workspace.has_artifact(evidence_id):
            artifact = run.workspace.artifact(evidence_id)
            return Evidence(tuple(quantities_in({"summary": artifact.summary, "data": artifact.data})))
        try:
            return Evidence(text=run.open_knowledge().report(evidence_id).text)
        except NotFoundError:
            return None

    return look_up
