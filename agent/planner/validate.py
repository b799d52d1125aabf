"""Checks a plan before anything runs, whoever made it: tools, arguments, references, kinds, preconditions, budget.

What is wrong is a `Problem`. "mendable": another plan could do it, so the reason goes back to the planner once. "ask":
only the person can say. "refuse": nothing here can do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agent.plan import Plan, Step, depends_on, references
from agent.planner.situation import Situation
from tools.errors import BadInputError, NotFoundError, ToolError
from tools.facts import AttachmentFacts
from tools.preconditions import check_call
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.hub import Hub

ProblemKind = Literal["mendable", "ask", "refuse"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a plan, in words a person would read."""

    kind: ProblemKind
    message: str


@dataclass(frozen=True)
class Limits:
    """What a plan may cost."""

    max_steps: int = 24
    max_seconds: float = 3600.0


class Validator:
    """Checks plans for one situation."""

    def __init__(self, registry: Registry, hub: Hub, situation: Situation, limits: Limits) -> None:
        self._registry = registry
        self._hub = hub
        self._situation = situation
        self._limits = limits

    def problem(self, plan: Plan) -> Problem | None:
        """Return the first thing wrong with a plan, or None."""
        if found := self._order(plan.steps):
            return found
        for step in plan.steps:
            if found := self._call(step, plan.steps):
                return found
        return self._budget(plan.steps)

    def _order(self, steps: Sequence[Step]) -> Problem | None:
        """Ids are new and used once, and a step refers only to steps before it, so that no circle can be."""
        earlier = {r.id for r in self._situation.results}
        attached = set(self._situation.facts)
        seen: set[str] = set()
        for step in steps:
            if step.id in seen | earlier or int(step.id[1:]) < self._situation.first_step:
                return Problem(
                    "mendable", f"step id {step.id!r} is taken; number steps from s{self._situation.first_step}"
                )
            unknown = (references(step.args) | depends_on(step)) - seen - earlier - attached
            if unknown:
                has = ", ".join(sorted(attached | earlier | seen)) or "nothing"
                return Problem(
                    "mendable",
                    f"{step.id} {step.tool} refers to {', '.join(sorted(unknown))}, which does not exist before it; "
                    f"there is {has}",
                )
            seen.add(step.id)
        return None

    def _call(self, step: Step, steps: Sequence[Step]) -> Problem | None:
        try:
            tool = self._registry.get(step.tool)
            args = tool.validate_args(step.args)
        except (BadInputError, NotFoundError) as error:
            return Problem("mendable", str(error))
        if step.when and self._kind(step.when.step, steps) != "measurements":
            return Problem("mendable", f"{step.id}: a condition looks at a step that measures, not at {step.when.step}")
        for parameter, wanted in tool.refs.items():
            for reference in _ids(args.get(parameter)):
                kind = self._kind(reference, steps)
                if kind == "":
                    return Problem(
                        "mendable", f"{step.tool}: {parameter} refers to {reference!r}, which does not exist"
                    )
                if kind not in wanted:
                    return Problem(
                        "mendable", f"{step.tool}: {parameter} must be {' or '.join(wanted)}, {reference} is {kind}"
                    )
        return self._precondition(step, args, steps)

    def _precondition(self, step: Step, args: Mapping[str, Any], steps: Sequence[Step]) -> Problem | None:
        tool = self._registry.get(step.tool)
        facts = {**self._situation.facts, **self._made_images(steps)}
        try:
            hub = self._hub.narrowed(step.tool, step.model) if step.model else self._hub
            check_call(tool, args, facts, hub)
        except ToolError as error:
            unknown = [i for _, i in tool.references(args) if i in facts and _says_no_modality(facts[i])]
            return Problem("ask", _WHICH.format(unknown[0])) if unknown else Problem("refuse", _sentence(str(error)))
        return None

    def _budget(self, steps: Sequence[Step]) -> Problem | None:
        if len(steps) > self._limits.max_steps:
            return Problem(
                "mendable",
                f"the plan has {len(steps)} steps, {self._limits.max_steps} are allowed; ask for less at a time",
            )
        ends: dict[str, float] = {}
        for step in steps:
            start = max((ends.get(s, 0.0) for s in depends_on(step)), default=0.0)
            ends[step.id] = start + self._registry.get(step.tool).cost.seconds
        seconds = max(ends.values(), default=0.0)
        if seconds > self._limits.max_seconds:
            return Problem(
                "ask",
                f"The plan would take about {seconds:.0f} s, {self._limits.max_seconds:.0f} s are allowed "
                "(READINGROOM_MAX_SECONDS). Ask for less at a time?",
            )
        return None

    def _kind(self, reference: str, steps: Sequence[Step]) -> str:
        if reference in self._situation.facts:
            return self._situation.facts[reference].kind
        for result in self._situation.results:
            if result.id == reference:
                return result.kind
        for step in steps:
            if step.id == reference and step.tool in self._registry:
                return self._registry.get(step.tool).kind
        return ""

    def _made_images(self, steps: Sequence[Step]) -> dict[str, AttachmentFacts]:
        """Return facts of the images that steps make: those of the image they come from."""
        made: dict[str, AttachmentFacts] = {}
        for step in steps:
            source = next((r for r in references(step.args) if r in self._situation.facts or r in made), None)
            if step.tool in self._registry and self._registry.get(step.tool).kind == "image" and source:
                facts = made.get(source) or self._situation.facts[source]
                projected = {"modality": "CR", "dims": 2} if step.tool == "synthesize" else {}
                made[step.id] = facts.model_copy(update=projected)
        return made


_WHICH = (
    "Which modality is {}? The file does not say, and its values do not show it. "
    "Name it in the request (“this MRI …”) or with '--modality MR'."
)


def _says_no_modality(facts: AttachmentFacts) -> bool:
    return facts.kind == "image" and not facts.modality


def _ids(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else [value] if isinstance(value, str) else []


def _sentence(text: str) -> str:
    """Begin with a capital letter, unless a tool's name begins it."""
    return text if text.endswith(".") else f"{text}."
