"""guard: is there a request, how long is it, what is attached, what does the person say of it?"""

from __future__ import annotations

import re

from langgraph.runtime import Runtime

from agent.attach import attach
from agent.context import RunContext
from agent.plan import Clarify, Decline
from agent.planner.followups import with_answer
from agent.state import State

MAX_REQUEST_CHARACTERS = 4000  # far above any real request; a pasted book would only slow the LLM down

_STATED = {
    "CT": r"\b(ct|cts|computed tomograph\w*)\b",
    "MR": r"\b(mr|mri|mris|t1|t2|flair|magnetic resonance)\b",
    "CR": r"\b(x-?rays?|radiographs?|chest films?)\b",
    "US": r"\b(ultrasounds?|sonogra\w+)\b",
}


def guard(state: State, runtime: Runtime[RunContext]) -> State:
    """Look at request and attachments before the planner does; start the turn's state anew."""
    request = state["request"].strip()
    fresh: State = {
        "request": request,
        "taken_as": _taken_as(request, state),
        "attachments": [],
        "outcome": {},
        "all_steps": [],
        "results": {},
        "notes": [],
        "replans": 0,
        "comment": None,
    }
    if not request:
        question = "Nothing was asked. What should be done with the study?"
        return {**fresh, "outcome": Clarify(question=question).model_dump()}
    if len(request) > MAX_REQUEST_CHARACTERS:
        reason = (
            f"The request has {len(request):,} characters; {MAX_REQUEST_CHARACTERS:,} are allowed. "
            "Attach long texts as a file and ask in a few sentences."
        )
        return {**fresh, "outcome": Decline(reason=reason).model_dump()}
    for path in state.get("attachments", []):
        attach(runtime.context.workspace, path)
    _take_stated_modality(request, runtime.context)
    notes = [f"taken as: {fresh['taken_as']}"] if fresh["taken_as"] != request else []
    every = runtime.context.workspace.facts().values()
    return {**fresh, "notes": notes + [f"About {facts.id}: {doubt}" for facts in every for doubt in facts.doubts]}


def _taken_as(request: str, state: State) -> str:
    """Return a request with what it answers: the one before, where a question came back for it."""
    was_asked_back = state.get("outcome", {}).get("outcome") == "clarify"
    return with_answer(state.get("taken_as", ""), request) if was_asked_back else request


def _take_stated_modality(request: str, run: RunContext) -> None:
    """Where neither header nor voxel values say the modality, take the person's word for it, and say so.

    A modality that the file knows is never overruled by the wording of a request.
    """
    stated = [code for code, pattern in _STATED.items() if re.search(pattern, request, re.IGNORECASE)]
    if len(stated) != 1:
        return
    from tools.imaging.content import look_at

    for facts in run.workspace.facts().values():
        if facts.kind == "image" and not facts.modality:
            seen = look_at(run.workspace.volume(facts.id), stated[0], from_header=False)
            known = facts.model_copy(
                update={
                    "modality": stated[0],
                    "modality_source": "stated by the person",
                    "looks": seen.looks,
                    "looks_why": seen.why,
                    "doubts": seen.doubts,
                }
            )
            run.workspace.update_facts(known)
            run.record.append("modality stated", attachment=facts.id, modality=stated[0])
