"""How often the planner plans right: outcome and tools against accepted sequences, then the required arguments.

Attachments of a case have no pixels: only the planner runs.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError, RunError
from agent.plan import Clarify, Decline, Plan, Step, depends_on
from tools.facts import AttachmentFacts


class Planning(Protocol):
    """What a planner gives back, as far as it counts here."""

    @property
    def outcome(self) -> Plan | Clarify | Decline:
        """The plan, question or refusal."""
        ...

    @property
    def decided_by(self) -> str:
        """Who decided."""
        ...


class Plans(Protocol):
    """Plans a request over facts."""

    def plan(self, request: str, facts: Mapping[str, AttachmentFacts]) -> Planning:
        """Return a plan, a question or a refusal."""
        ...


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanCase(_Data):
    """One request with what a right planner does."""

    id: str
    request: str
    attachments: tuple[AttachmentFacts, ...] = ()
    outcome: Literal["plan", "clarify", "decline"]
    tools: tuple[tuple[str, ...], ...] = ()
    """Accepted sequences of tools."""
    args: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Per tool, the values that must be there."""


class PlanResult(_Data):
    """What the planner did with one case."""

    id: str
    request: str
    expected: str
    """Outcome, and the accepted sequences."""
    got: str
    correct: bool
    args_correct: bool | None
    """None where the case names no arguments."""
    seconds: float
    decided_by: str
    explanation: str = ""


class PlanScores(_Data):
    """All cases of a file."""

    cases: int
    correct: int
    accuracy: float
    args_accuracy: float | None
    """Share of the cases with named arguments in which tools and all those values are right; None without any."""
    median_seconds: float
    results: tuple[PlanResult, ...]


def read_plan_cases(path: Path) -> list[PlanCase]:
    """Return the cases of a JSONL file.

    Raises:
        ConfigError: no such file, or a line is no case; says which and why.
    """
    if not path.is_file():
        raise ConfigError(f"file must be a JSONL file of cases, {path} does not exist")
    cases = list(_parsed(path))
    if not cases:
        raise ConfigError(f"{path.name} holds no case")
    return cases


def _parsed(path: Path) -> Iterator[PlanCase]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield PlanCase.model_validate(json.loads(line))
        except (ValidationError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"{path.name} line {number} must be a case with id, request, outcome: {reason}") from None


def evaluate_plans(cases: Sequence[PlanCase], planner: Plans) -> Iterator[PlanResult]:
    """Yield each case's result as it comes; `scores` sums them up."""
    for case in cases:
        started = time.perf_counter()
        try:
            made = planner.plan(case.request, {a.id: a for a in case.attachments})
        except RunError as error:
            yield _failed(case, error, time.perf_counter() - started)
            continue
        yield _judged(case, made, time.perf_counter() - started)


def scores(results: Iterable[PlanResult]) -> PlanScores:
    """Return accuracy over all cases, and over arguments where cases name them."""
    found = tuple(results)
    correct = sum(r.correct for r in found)
    with_args = [r.args_correct for r in found if r.args_correct is not None]
    return PlanScores(
        cases=len(found),
        correct=correct,
        accuracy=correct / len(found) if found else 0.0,
        args_accuracy=sum(with_args) / len(with_args) if with_args else None,
        median_seconds=statistics.median(r.seconds for r in found) if found else 0.0,
        results=found,
    )


def _failed(case: PlanCase, error: RunError, seconds: float) -> PlanResult:
    return PlanResult(
        id=case.id,
        request=case.request,
        expected=_expected(case),
        got="no plan",
        correct=False,
        args_correct=False if case.args else None,
        seconds=seconds,
        decided_by="",
        explanation=str(error),
    )


def _judged(case: PlanCase, made: Planning, seconds: float) -> PlanResult:
    outcome = made.outcome
    steps = outcome.steps if isinstance(outcome, Plan) else ()
    right = outcome.outcome == case.outcome and (not steps or any(runs_as(steps, s) for s in case.tools))
    wrong = [] if outcome.outcome != "plan" else list(_missing(case, steps))
    return PlanResult(
        id=case.id,
        request=case.request,
        expected=_expected(case),
        got=_got(outcome),
        correct=right,
        args_correct=(right and not wrong) if case.args else None,
        seconds=seconds,
        decided_by=made.decided_by,
        explanation="; ".join(wrong),
    )


def _expected(case: PlanCase) -> str:
    return " or ".join("+".join(s) for s in case.tools) if case.outcome == "plan" else case.outcome


def _got(outcome: Plan | Clarify | Decline) -> str:
    match outcome:
        case Plan():
            return "+".join(s.tool for s in outcome.steps)
        case Clarify():
            return f"clarify: {outcome.question}"
        case Decline():
            return f"decline: {outcome.reason}"


def runs_as(steps: Sequence[Step], tools: Sequence[str]) -> bool:
    """Return whether the steps may run in this order of tools, each after the steps whose results it needs."""
    if len(steps) != len(tools):
        return False
    if not tools:
        return True
    left = {s.id for s in steps}
    for step in steps:
        if step.tool == tools[0] and not depends_on(step) & left:
            rest = [s for s in steps if s.id != step.id]
            if runs_as(rest, tools[1:]):
                return True
    return False


def _missing(case: PlanCase, steps: Sequence[Step]) -> Iterator[str]:
    for tool, wanted in case.args.items():
        given = [s.args for s in steps if s.tool == tool]
        for name, value in wanted.items():
            if not any(_holds(args.get(name), value) for args in given):
                found = [args.get(name) for args in given]
                yield f"{tool}.{name} must hold {value!r}, got {found!r}"


def _holds(given: object, wanted: object) -> bool:
    """Return whether a value, or every value of a list, is there; text without regard to case."""
    if isinstance(wanted, list | tuple):
        have = given if isinstance(given, list | tuple) else [given]
        return all(any(_holds(h, w) for h in have) for w in wanted)
    if isinstance(wanted, str) and isinstance(given, str):
        return given.removeprefix("@").casefold() == wanted.removeprefix("@").casefold()
    return given == wanted
