"""verify: every sentence is checked against its evidence before it is shown.

What fails is mended once by the language model, where one is there that can write; else it is held back, and said so.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.errors import RunError
from agent.events import Evidence
from agent.llm.hearing import Words, heard
from agent.state import State
from tools.grounding import LookUp, evidence_in, problem_with
from tools.grounding.repair import MAX_REPAIRS, mend
from tools.results import Claim


def verify(state: State, runtime: Runtime[RunContext]) -> State:
    """Hold back what its evidence does not support."""
    run = runtime.context
    look_up = evidence_in(run.workspace, run.open_knowledge)
    kept, held_back, mended = [], [], 0
    for raw in state.get("claims", []):
        claim = Claim.model_validate(raw)
        problem = problem_with(claim, look_up)
        if problem is None:
            run.emit(Evidence(claim=claim, holds=True, problem=""))
            kept.append(raw)
            continue
        new = _mended(claim, problem, look_up, run) if mended < MAX_REPAIRS else None
        mended += 1
        if new is not None:
            run.record.append("mended", was=claim.text, reason=problem, now=new.text)
            run.emit(Evidence(claim=new, holds=True, problem=""))
            kept.append(new.model_dump(mode="json"))
        else:
            run.emit(Evidence(claim=claim, holds=False, problem=problem))
            held_back.append(f"{claim.text} — held back: {problem}")
    if held_back:
        run.record.append("held back", sentences=held_back)
    return {"claims": kept, "held_back": held_back, "repaired": mended > 0}


def _mended(claim: Claim, problem: str, look_up: LookUp, run: RunContext) -> Claim | None:
    """Ask once; a model that cannot be reached, or answers badly, mends nothing."""
    try:
        with heard(Words(run.emit, step="")):
            return mend(run.open_llm(), claim, problem, look_up)
    except RunError as error:
        run.record.append("not mended", sentence=claim.text, reason=str(error))
        return None
