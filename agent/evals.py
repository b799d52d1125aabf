"""How well the planner plans, on cases with a known answer, beside baselines that anybody could have.

report = evaluate_plans(Path("plans_dev.jsonl"), planner)
print(report.accuracy, report.to_json())
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError, RunError
from agent.plan import Clarify, Decline, Plan, Step, depends_on
from tools.facts import AttachmentFacts

if TYPE_CHECKING:
    from agent.planner import Planner

NO_PLAN = "(no plan)"


class PlanCase(BaseModel):
    """One request with the plans that count as right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    request: str
    attachments: tuple[AttachmentFacts, ...] = ()
    outcome: Literal["plan", "clarify", "decline"]
    tools: tuple[tuple[str, ...], ...] = ()
    """Accepted sequences of tools; independent steps may come in any order."""
    args: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Per tool, the values that must be there."""


@dataclass(frozen=True)
class CaseResult:
    """What came of one case."""

    case: PlanCase
    outcome: Plan | Clarify | Decline | None
    """None: the planner failed; `error` says how."""
    decided_by: str = ""
    attempts: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def tools(self) -> tuple[str, ...]:
        """Return the planned tools in order."""
        return tuple(step.tool for step in self.outcome.steps) if isinstance(self.outcome, Plan) else ()

    @property
    def is_correct(self) -> bool:
        """Return whether outcome and, for a plan, tools are right."""
        if self.outcome is None or self.outcome.outcome != self.case.outcome:
            return False
        if not isinstance(self.outcome, Plan):
            return True
        return any(_fits(self.outcome.steps, accepted) for accepted in self.case.tools)

    @property
    def has_right_args(self) -> bool | None:
        """Return whether every value that must be there is; None where the case asks for none."""
        if self.case.outcome != "plan" or not self.case.args:
            return None
        if not self.is_correct or not isinstance(self.outcome, Plan):
            return False
        steps = self.outcome.steps
        return all(
            any(step.tool == tool and _holds(step.args, wanted) for step in steps)
            for tool, wanted in self.case.args.items()
            if not (len(self.case.tools) > 1 and tool not in self.tools)
        )

    def to_json(self) -> dict[str, Any]:
        """Return one line of the report."""
        return {
            "id": self.case.id,
            "request": self.case.request,
            "correct": self.is_correct,
            "args_correct": self.has_right_args,
            "expected": {"outcome": self.case.outcome, "tools": self.case.tools, "args": self.case.args},
            "got": self.outcome.model_dump(mode="json") if self.outcome else {"error": self.error},
            "tools": list(self.tools),
            "decided_by": self.decided_by,
            "attempts": self.attempts,
            "seconds": round(self.seconds, 4),
        }


@dataclass(frozen=True)
class PlansReport:
    """Figures over all cases, and every case."""

    results: tuple[CaseResult, ...]
    llm: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    """Accuracy of what anybody could do: copy the nearest declared example, or always plan the commonest tools."""

    @property
    def correct(self) -> int:
        """Return how many cases are right."""
        return sum(r.is_correct for r in self.results)

    @property
    def accuracy(self) -> float:
        """Return the share of right cases."""
        return self.correct / len(self.results)

    @property
    def args_accuracy(self) -> float | None:
        """Return the share of plans with the right arguments among the cases that name any; None: none does."""
        asked = [r.has_right_args for r in self.results if r.has_right_args is not None]
        return sum(asked) / len(asked) if asked else None

    @property
    def median_seconds(self) -> float:
        """Return the median planning time."""
        return statistics.median(r.seconds for r in self.results)

    def per_verb(self) -> dict[str, tuple[int, int]]:
        """Return (right, all) by the verbs of the first accepted plan, or by the outcome where none is a plan."""
        table: dict[str, list[bool]] = defaultdict(list)
        for result in self.results:
            for name in result.case.tools[0] if result.case.tools else (result.case.outcome,):
                table[name].append(result.is_correct)
        return {name: (sum(right), len(right)) for name, right in sorted(table.items())}

    def confusion(self) -> dict[str, dict[str, int]]:
        """Return how often each expected plan or outcome came out as which other; right ones are on the diagonal."""
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for result in self.results:
            wanted = _named(result.case.outcome, result.case.tools[0] if result.case.tools else ())
            got = _named(result.outcome.outcome, result.tools) if result.outcome else "error"
            table[wanted][wanted if result.is_correct else got] += 1
        return {wanted: dict(counts) for wanted, counts in sorted(table.items())}

    def to_json(self) -> dict[str, Any]:
        """Return the report in the shape that `readingroom eval plans --json` prints."""
        args_accuracy = self.args_accuracy
        return {
            "cases": len(self.results),
            "correct": self.correct,
            "accuracy": round(self.accuracy, 4),
            "args_accuracy": None if args_accuracy is None else round(args_accuracy, 4),
            "median_seconds": round(self.median_seconds, 4),
            "llm": self.llm,
            "decided_by": dict(Counter(r.decided_by for r in self.results)),
            "baselines": {name: round(value, 4) for name, value in self.baselines.items()},
            "per_verb": {name: {"correct": right, "cases": count} for name, (right, count) in self.per_verb().items()},
            "confusion": self.confusion(),
            "results": [r.to_json() for r in self.results],
        }


def evaluate_plans(path: Path, planner: Planner) -> PlansReport:
    """Plan every case of a file and compare; only the planner runs.

    The first case is planned once before the clock starts, so that loading is not counted.

    Raises:
        ConfigError: the file is not readable as cases; names the line.
    """
    cases = read_cases(path)
    _plan(planner, cases[0])
    results = tuple(_plan(planner, case) for case in cases)
    return PlansReport(results, planner.planned_by, _baselines(cases, planner))


def read_cases(path: Path) -> tuple[PlanCase, ...]:
    """Return the cases of a JSONL file.

    Raises:
        ConfigError: the file is missing or empty, or a line is no case; names it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cases could not be read from {path}: {error}") from None
    cases = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cases.append(PlanCase.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise ConfigError(f"{path} line {number}: {where or 'line'}: {problem['msg']}") from None
    if not cases:
        raise ConfigError(f"{path} holds no cases; expected one JSON object a line")
    return tuple(cases)


def _plan(planner: Planner, case: PlanCase) -> CaseResult:
    facts = {a.id: a for a in case.attachments}
    try:
        made = planner.plan(case.request, facts)
    except RunError as error:
        return CaseResult(case, None, error=str(error))
    return CaseResult(case, made.outcome, made.decided_by, made.attempts, made.seconds)


def _baselines(cases: Sequence[PlanCase], planner: Planner) -> dict[str, float]:
    """Score the nearest example copied as it is, and the commonest sequence of tools for everything."""
    copied = [CaseResult(case, planner.nearest_example(case.request)) for case in cases]
    commonest = Counter(case.tools[0] for case in cases if case.tools).most_common(1)
    steps = tuple(Step(id=f"s{n}", tool=t) for n, t in enumerate(commonest[0][0], start=1)) if commonest else ()
    constant = [CaseResult(case, Plan(steps=steps) if steps else None) for case in cases]
    return {
        "nearest example copied": _share(copied),
        f"always {' + '.join(s.tool for s in steps)}": _share(constant),
    }


def _share(results: Iterable[CaseResult]) -> float:
    right = [r.is_correct for r in results]
    return sum(right) / len(right)


def _fits(steps: Sequence[Step], accepted: Sequence[str]) -> bool:
    """Return whether steps can run in an accepted order: same tools, and nothing before what it depends on."""
    if sorted(step.tool for step in steps) != sorted(accepted):
        return False
    return _runs(list(steps), list(accepted), frozenset({step.id for step in steps}))


def _runs(steps: list[Step], order: list[str], waiting: frozenset[str]) -> bool:
    if not order:
        return True
    for step in steps:
        if step.tool == order[0] and step.id in waiting and not depends_on(step) & waiting:
            rest = [other for other in steps if other is not step]
            if _runs(rest, order[1:], waiting - {step.id}):
                return True
    return False


def _holds(args: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_same(args.get(name), value) for name, value in wanted.items())


def _same(got: Any, wanted: Any) -> bool:
    """Return whether a value is there: of a list, every wanted item; of text, in either case."""
    if isinstance(wanted, list):
        have = [_plain(g) for g in got] if isinstance(got, list | tuple) else [_plain(got)]
        return all(_plain(item) in have for item in wanted)
    if isinstance(got, list | tuple):
        return [_plain(g) for g in got] == [_plain(wanted)]
    return bool(_plain(got) == _plain(wanted))


def _plain(value: Any) -> Any:
    return value.strip().lower().removeprefix("@") if isinstance(value, str) else value


def _named(outcome: str, tools: Sequence[str]) -> str:
    return " + ".join(tools) if outcome == "plan" else outcome
