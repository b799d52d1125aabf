"""plan: the planner turns request, facts and earlier results into a plan, a question back or a refusal."""

from __future__ import annotations

from dataclasses import asdict

from langgraph.runtime import Runtime

from agent.context import RunContext
from agent.costing import PlanCost, cost_of
from agent.events import Planned, Planning
from agent.llm.hearing import PlanDraft, heard
from agent.plan import Clarify, Decline, Plan
from agent.planner import PriorResult
from agent.pointing import Pointed, asked_plan, with_prompts
from agent.state import State
from agent.step_ids import next_number
from tools.results import Masks
from tools.workspace import Artifact

A_PERSON = "a person"
"""Who decided, where a plan was made by hand; it is not asked about again."""


def plan(state: State, runtime: Runtime[RunContext]) -> State:
    """Make a plan; after a failed step or a person's comment, a new one that may use what has finished."""
    run = runtime.context
    if given := state.get("given"):
        return _given(Plan.model_validate(given), state, run)
    pointed = [Pointed.model_validate(p) for p in state.get("pointed", [])]
    first_step = next_number(run.workspace, (s["id"] for s in state.get("all_steps", [])))
    if not state.get("comment") and (asked := asked_plan(state["request"], pointed, first_step)):
        return _given(asked, state, run)
    planner = run.open_planner()
    run.emit(Planning(by=planner.planned_by))
    with heard(PlanDraft(run.emit)):
        made = planner.plan(
            state["taken_as"],
            run.workspace.facts(),
            results=tuple(prior_result(a) for a in run.workspace.artifacts()),
            first_step=first_step,
            comment=state.get("comment"),
        )
    outcome, unused = with_prompts(made.outcome, pointed)
    notes = (*made.notes, *unused)
    cost = _cost(outcome, run)
    run.record.append(
        "plan",
        request=state["request"],
        outcome=outcome.model_dump(mode="json"),
        decided_by=made.decided_by,
        attempts=made.attempts,
        seconds=round(made.seconds, 3),
        notes=list(notes),
        llm_calls=[dict(c) for c in made.calls],
        cost=asdict(cost) if cost else None,
    )
    if isinstance(outcome, Plan) and cost:
        run.emit(planned_event(outcome, cost, made.decided_by, made.seconds))
    planned = list(state.get("all_steps", []))
    if isinstance(outcome, Plan):
        planned += [s.model_dump(mode="json") for s in outcome.steps]
    return {
        "outcome": outcome.model_dump(mode="json"),
        "decided_by": made.decided_by,
        "all_steps": planned,
        "notes": [*state.get("notes", []), *notes],
    }


def _given(plan: Plan, state: State, run: RunContext) -> State:
    """Take a plan that a person made, after the same checks that any plan passes."""
    outcome = plan.model_dump(mode="json")
    if problem := problem_of(plan, run):
        refusal = Decline(reason=f"The plan cannot be run: {problem}")
        return {"given": None, "outcome": refusal.model_dump(mode="json"), "decided_by": A_PERSON}
    cost = cost_of(plan, run.registry, run.hub, run.workspace.every_facts())
    run.record.append(
        "plan", request=state["request"], outcome=outcome, decided_by=A_PERSON, seconds=0.0, cost=asdict(cost)
    )
    run.emit(planned_event(plan, cost, A_PERSON, 0.0))
    return {"given": None, "outcome": outcome, "decided_by": A_PERSON, "all_steps": outcome["steps"]}


def problem_of(plan: Plan, run: RunContext) -> str:
    """Return why a plan cannot be run in a reading as it is now; empty: it can."""
    from agent.planner.situation import Situation
    from agent.planner.validate import Limits, Validator

    situation = Situation(run.workspace.facts(), tuple(prior_result(a) for a in run.workspace.artifacts()))
    limits = Limits(run.settings.max_steps, run.settings.max_seconds)
    problem = Validator(run.registry, run.hub, situation, limits).problem(plan)
    return problem.message if problem else ""


def planned_event(plan: Plan, cost: PlanCost, decided_by: str, seconds: float) -> Planned:
    """Return the event that tells a plan with its cost."""
    return Planned(
        plan=plan,
        decided_by=decided_by,
        seconds=seconds,
        estimated_seconds=cost.seconds,
        device_memory_mb=cost.device_memory_mb,
        lacks=cost.lacks,
    )


def _cost(outcome: Plan | Clarify | Decline, run: RunContext) -> PlanCost | None:
    if not isinstance(outcome, Plan):
        return None
    return cost_of(outcome, run.registry, run.hub, run.workspace.every_facts())


def prior_result(artifact: Artifact) -> PriorResult:
    """Return what a new plan may know of an earlier result."""
    targets: tuple[str, ...] = ()
    if artifact.kind == "mask":
        targets = tuple(m.target for m in Masks.model_validate(artifact.data).masks)
    return PriorResult(
        id=artifact.id,
        tool=artifact.provenance.tool,
        kind=artifact.kind,
        targets=targets,
        args=artifact.provenance.params,
    )
