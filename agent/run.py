"""Runs one turn of a reading through the graph, from a request, a decision or where a killed process stopped."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout

from agent.answer import Ending
from agent.context import RunContext
from agent.dispatch import Dispatcher, StepBugError, software
from agent.errors import ReadingError, RunError
from agent.events import Answered, Failed, Paused, Tokens
from agent.llm.meter import Meter, Spent, metered
from agent.pausing import Pause
from agent.plan import Plan, Step
from agent.pointing import Pointed
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from tools.preconditions import check_call
from tools.results import Claim
from tools.workspace import Artifact

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from agent.graph import Graph
    from agent.state import State

WAITING = Claim(text="The plan waits for a person: approve, edit or reject it.", kind="general")


@dataclass(frozen=True)
class Turn:
    """What starts a run: a request, or a decision on a reading that paused or was killed."""

    request: str | None = None
    decision: Mapping[str, Any] | None = None
    plan: Plan | None = None
    """With a request: what to run for it, made by a person."""
    pointed: tuple[Pointed, ...] = ()
    """With a request: what the person pointed at in the images."""


def run_turn(run: RunContext, turn: Turn) -> None:
    """Run the graph until it answers or pauses; the last event is `Answered` or `Failed`.

    Raises:
        RunError: the run could not be done; the reading keeps what was computed.
    """
    from agent.graph import build_graph

    started = time.monotonic()
    with _reported(run), locked(run.workspace.root), metered(meter_of(run)):
        with run.checkpoints.open(run.workspace.root) as saver:
            graph = build_graph(saver)
            config: RunnableConfig = {"configurable": {"thread_id": run.reading}}
            given = _input(graph, config, turn, run)
            run.record.append("turn", request=turn.request, decision=turn.decision, software=software())
            state = graph.invoke(given, config, context=run, durability="sync")
        _answer(run, cast("State", state), time.monotonic() - started)


def run_one_tool(run: RunContext, name: str, args: Mapping[str, Any], *, step: str = "s1") -> Artifact:
    """Run one tool on what is attached, after the same checks that a plan passes.

    Args:
        run: what the run is lent.
        name: the tool.
        args: its arguments.
        step: the id of its result; one that no result of the reading has.

    Raises:
        ToolError: the tool or its preconditions refused.
    """
    tool = run.registry.get(name)
    valid = tool.validate_args(args)
    check_call(tool, valid, run.workspace.every_facts(), run.hub)
    planned = Step(id=step, tool=name, args=dict(args))
    plan = {"outcome": "plan", "steps": [planned.model_dump(mode="json")]}
    run.record.append("plan", request="", outcome=plan, decided_by="a person", software=software())
    with metered(meter_of(run)):
        Dispatcher(run, reraise=True).run_steps([planned])
    return run.workspace.artifact(step)


def meter_of(run: RunContext) -> Meter:
    """Return the language-model budget of one run; a pause begins a new one, as it does for the seconds."""

    def on_spent(spent: Spent) -> None:
        run.record.append("llm call", **spent.line)
        run.emit(
            Tokens(
                model=str(spent.line.get("model", "")),
                purpose=str(spent.line.get("prompt", "")),
                tokens_in=spent.tokens_in,
                tokens_out=spent.tokens_out,
                used=spent.used,
                limit=spent.limit,
            )
        )

    return Meter(run.settings.max_llm_tokens, on_spent, run.cancelled.is_set)


def _input(graph: Graph, config: RunnableConfig, turn: Turn, run: RunContext) -> Any:
    from agent.graph import with_decision

    if turn.request is not None:
        given = turn.plan.model_dump(mode="json") if turn.plan else None
        pointed = [p.model_dump(mode="json") for p in turn.pointed]
        return {"request": turn.request, "given": given, "pointed": pointed}
    snapshot = graph.get_state(config)
    if any(task.interrupts for task in snapshot.tasks):
        decision = dict(turn.decision or {})
        if decision.get("plan"):
            _check_edit(Plan.model_validate(decision["plan"]), run)
        return with_decision(decision)
    if snapshot.next:
        return None  # a killed process: go on from the last saved state
    if snapshot.values:
        raise ReadingError(f"reading {run.reading} is finished; ask a follow-up with '--reading {run.reading}'")
    raise ReadingError(f"reading {run.reading} was stopped before it began; ask again")


def _check_edit(plan: Plan, run: RunContext) -> None:
    """Refuse an edited plan that could not run, before the pause is given up for it."""
    from agent.nodes.plan import problem_of

    if problem := problem_of(plan, run):
        raise ReadingError(f"the edited plan cannot be run: {problem.rstrip('.')}. The reading still waits.")


def _answer(run: RunContext, state: State, seconds: float) -> None:
    ending, claims = _ending(state)
    pause = _pause(state)
    results = state.get("results", {})
    failures = [
        {"step": i, "tool": r["tool"], "kind": r["kind"], "message": r["message"]}
        for i, r in results.items()
        if r["status"] != "done"
    ]
    outcome = state["outcome"]
    plan = {"outcome": "plan", "steps": state["all_steps"]} if outcome["outcome"] == "plan" else None
    held_back = list(state.get("held_back", []))
    run.record.append(
        "answer",
        request=state["request"],
        outcome=ending,
        plan=plan,
        steps=[s["id"] for s in state.get("all_steps", [])],
        claims=[c.model_dump(mode="json") for c in claims],
        held_back=held_back,
        failures=failures,
        seconds=round(seconds, 3),
        pause=pause.model_dump(mode="json") if pause else None,
    )
    if pause:
        run.emit(Paused(reading=run.reading, pause=pause))
    run.emit(Answered(reading=run.reading, outcome=ending, claims=tuple(claims), held_back=tuple(held_back)))


def _pause(state: State) -> Pause | None:
    interrupts: Sequence[Any] = state.get("__interrupt__", ())  # type: ignore[assignment]  # LangGraph's own key
    return Pause.model_validate(interrupts[0].value) if interrupts else None


def _ending(state: State) -> tuple[Ending, list[Claim]]:
    if "__interrupt__" in state:
        return "waiting", [WAITING]
    claims = [Claim.model_validate(c) for c in state.get("claims", [])]
    outcome = state["outcome"]["outcome"]
    if outcome == "clarify":
        return "clarify", claims
    if outcome == "decline":
        return "declined", claims
    done = any(r["status"] == "done" for r in state.get("results", {}).values())
    return ("answered" if done else "failed"), claims


@contextmanager
def _reported(run: RunContext) -> Iterator[None]:
    """Emit `Failed` for what stops a run, keep a bug's traceback in the record, tell the caller in one line."""
    try:
        yield
    except (RunError, ToolError, KnowledgeError, StepBugError) as error:
        kind = getattr(error, "kind", type(error).__name__)
        run.record.append("run failed", kind=kind, message=str(error))
        run.emit(Failed(reading=run.reading, kind=kind, message=str(error)))
        if isinstance(error, RunError):
            raise
        raise RunError(str(error)) from error
    except Exception as error:
        run.record.append("bug", traceback=traceback.format_exc())
        message = f"stopped by an unexpected {type(error).__name__}; the traceback is in {run.record.path}"
        run.emit(Failed(reading=run.reading, kind="bug", message=message))
        raise RunError(message) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a reading for one process at a time; a killed process lets go by itself."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ReadingError(f"reading {folder.name} is being run by another process; wait or cancel it there") from None
    try:
        yield
    finally:
        lock.release()
