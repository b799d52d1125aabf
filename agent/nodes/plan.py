"""plan: the planner turns request, facts and earlier results into a plan, a question back or a refusal."""

from __future__ import annotations

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.costing import cost_of
from agent.events import Planned, Planning
from agent.plan import Plan
from agent.planner import PriorResult
from agent.state import State
from tools.results import Masks
from tools.workspace import Artifact


def plan(state: State, runtime: Runtime[RunContext]) -> State:
    """Make a plan; after a failed step or a person's comment, a new one that may use what has finished."""
    run = runtime.context
    planner = run.open_planner()
    run.emit(Planning(by=planner.planned_by))
    artifacts = run.workspace.artifacts()
    made = planner.plan(
        state["request"],
        run.workspace.facts(),
        results=tuple(prior_result(a) for a in artifacts),
        first_step=_next_step(artifacts, state),
        comment=state.get("comment"),
    )
    outcome = made.outcome
    run.record.append(
        "plan",
        request=state["request"],
        outcome=outcome.model_dump(mode="json"),
        decided_by=made.decided_by,
        attempts=made.attempts,
        seconds=round(made.seconds, 3),
        notes=list(made.notes),
        llm_calls=[dict(c) for c in made.calls],
    )
    if isinstance(outcome, Plan):
        cost = cost_of(outcome, run.registry, run.hub, run.workspace.every_facts())
        run.emit(
            Planned(
                plan=outcome,
                decided_by=made.decided_by,
                seconds=made.seconds,
                estimated_seconds=cost.seconds,
                device_memory_mb=cost.device_memory_mb,
                lacks=cost.lacks,
            )
        )
    planned = list(state.get("all_steps", []))
    if isinstance(outcome, Plan):
        planned += [s.model_dump(mode="json") for s in outcome.steps]
    return {
        "outcome": outcome.model_dump(mode="json"),
        "decided_by": made.decided_by,
        "all_steps": planned,
        "notes": [*state.get("notes", []), *made.notes],
    }


def prior_result(artifact: Artifact) -> PriorResult:
    """Return what a new plan may know of an earlier result."""
    targets: tuple[str, ...] = ()
    if artifact.kind == "mask":
        targets = tuple(m.target for m in Masks.model_validate(artifact.data).masks)
    return PriorResult(
        id=artifact.id,
        tool=artifact.provenance.tool,
        kind=artifact.kind,
        summary=artifact.summary,
        targets=targets,
        args=artifact.provenance.params,
    )


def _next_step(artifacts: list[Artifact], state: State) -> int:
    """Step ids are never used twice in a reading, so that evidence stays what it was."""
    used = [int(a.id[1:]) for a in artifacts] + [int(s["id"][1:]) for s in state.get("all_steps", [])]
    return max(used, default=0) + 1
