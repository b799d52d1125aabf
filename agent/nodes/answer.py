"""answer: sentences from what the steps made, each with its evidence; what failed is said as such."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.plan import OUTCOME, Clarify, Decline
from agent.state import State
from tools.claims import claims_of
from tools.disagreement import abstentions, disagreements
from tools.errors import ToolError
from tools.results import Claim


def answer(state: State, runtime: Runtime[RunContext]) -> State:
    """Compose the answer of this turn."""
    outcome = OUTCOME.validate_python(state["outcome"])
    if isinstance(outcome, Clarify):
        claims = [Claim(text=outcome.question, kind="general")]
    elif isinstance(outcome, Decline):
        claims = [Claim(text=outcome.reason, kind="general")]
    else:
        claims = _from_steps(state, runtime.context)
    return {"claims": [c.model_dump(mode="json") for c in claims], "held_back": []}


def _from_steps(state: State, run: RunContext) -> list[Claim]:
    claims = [Claim(text=_sentence(note), kind="general") for note in state.get("notes", [])]
    for step_id, result in state.get("results", {}).items():
        if result["status"] == "done":
            claims += claims_of(run.workspace.artifact(step_id))
        else:
            text = f"Step {step_id} ({result['tool']}) gave no result: {result['message']}"
            claims.append(Claim(text=text, kind="not examined"))
    claims.sort(key=lambda claim: claim.kind == "not examined")  # what there is comes first
    return claims + _disagreements(state, run)


def _disagreements(state: State, run: RunContext) -> list[Claim]:
    """Say where sources disagree, an attached report included, and which results should not be relied on."""
    done = [i for i, result in state.get("results", {}).items() if result["status"] == "done"]
    artifacts = [run.workspace.artifact(i) for i in done]
    if not artifacts:
        return []
    facts = run.workspace.facts()
    reports = {}
    for report_id in (i for i, f in facts.items() if f.kind == "report" and not f.prior):
        try:
            reports[report_id] = run.workspace.report_text(report_id)
        except ToolError:
            continue  # an unreadable report says nothing; the step that reads it tells why
    return disagreements(artifacts, reports) + abstentions(artifacts, facts, run.hub.cards)


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}{'' if note.endswith(('.', '?', '!')) else '.'}"
