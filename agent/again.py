"""Runs a step again with another model, and what depends on it: a new turn whose plan a person made.

Ids are never used twice, so what was made before stays as evidence of the sentences that cite it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.costing import cards_for, targets_of
from agent.errors import ReadingError
from agent.plan import Plan, Step, depends_on
from agent.run import Turn
from agent.step_ids import next_number
from tools.errors import ToolError

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.events import AnyEvent
    from tools.facts import AttachmentFacts
    from tools.models.card import ModelCard
    from tools.models.hub import Hub


@dataclass(frozen=True)
class ModelOption:
    """A model that could do a step."""

    name: str
    title: str
    state: str
    """ "ready", or what it needs: weights, an extra, memory."""
    remedy: str
    """The command or path that makes it ready; empty where it is."""
    seconds: float
    device_memory_mb: int
    trust: str
    is_chosen: bool
    """Whether the step uses it, or would by the hub's choice."""


def model_options(step: Step, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> list[ModelOption]:
    """Return the models that fit a step's image and targets, ready ones first; none for a verb without models.

    Args:
        step: of a plan.
        hub: the models.
        facts: of every image of the reading, by id.
    """
    image = facts.get(str(step.args.get("image", "")).removeprefix("@"))
    if image is None:
        return []
    targets = targets_of(step)
    chosen = {card.name for card in cards_for(step, hub, facts)}
    options = []
    for card in (card for card in hub.cards if card.verb == step.tool):
        try:
            hub.narrowed(step.tool, card.name).choose(step.tool, image, targets)
        except ToolError:
            continue
        options.append(_option(card, hub, is_chosen=card.name in chosen))
    return sorted(options, key=lambda o: (o.state != "ready", not o.is_chosen, o.seconds, o.name))


def _option(card: ModelCard, hub: Hub, *, is_chosen: bool) -> ModelOption:
    status = hub.status(card)
    return ModelOption(
        name=card.name,
        title=card.title,
        state=status.state,
        remedy=status.remedy,
        seconds=card.seconds,
        device_memory_mb=card.device_memory_mb,
        trust=card.trust,
        is_chosen=is_chosen,
    )


def plan_again(steps: Sequence[Step], step_id: str, model: str | None, made: Sequence[str], first: int) -> Plan:
    """Return the plan that runs a step again, then whatever was built on it.

    Args:
        steps: every step of the turn, in order.
        step_id: the step to run again.
        model: the model card to use; None leaves it to the hub.
        made: ids of the results that the reading holds.
        first: number of the first step of the new plan.

    Raises:
        ReadingError: the turn has no such step.
    """
    known = {step.id: step for step in steps}
    if step_id not in known:
        raise ReadingError(f"there is no step {step_id!r} to run again; there are: {', '.join(known) or 'none'}")
    wanted = _with_needs(known, {step_id} | _built_on(steps, step_id), set(made))
    order = [step for step in steps if step.id in wanted]
    new_ids = {step.id: f"s{first + number}" for number, step in enumerate(order)}
    again = [_renamed(step, new_ids) for step in order]
    place = order.index(known[step_id])
    again[place] = again[place].model_copy(update={"model": model})
    return Plan(steps=tuple(again))


def _built_on(steps: Sequence[Step], step_id: str) -> set[str]:
    """Return the steps that need a step, directly or through others."""
    found = {step_id}
    for step in steps:  # in an order in which they can run
        if depends_on(step) & found:
            found.add(step.id)
    return found - {step_id}


def _with_needs(known: Mapping[str, Step], wanted: set[str], made: set[str]) -> set[str]:
    """Add the steps that gave no result and whose result is needed now."""
    missing = {n for i in wanted for n in depends_on(known[i]) if n in known and n not in made} - wanted
    return _with_needs(known, wanted | missing, made) if missing else wanted


def _renamed(step: Step, new_ids: Mapping[str, str]) -> Step:
    args = json.dumps(step.args)
    for old, new in sorted(new_ids.items(), key=lambda pair: -int(pair[0][1:])):
        args = args.replace(f'"@{old}"', f'"@@{new}"')  # two signs: not to be renamed again
    when = step.when and step.when.model_copy(update={"step": new_ids.get(step.when.step, step.when.step)})
    return step.model_copy(update={"id": new_ids[step.id], "args": json.loads(args.replace('"@@', '"@')), "when": when})


def again_stream(
    assistant: Assistant, reading: str, step_id: str, model: str | None = None
) -> tuple[str, Iterator[AnyEvent]]:
    """Run a step of a reading again with another model; return what this is called, and the events.

    Raises:
        ReadingError: the reading has no such step, or its plan still waits for a decision.
    """
    steps = _steps_of_turn(assistant, reading, step_id)
    made = [a.id for a in assistant.workspace(reading).artifacts()]
    first = next_number(assistant.workspace(reading), (s.id for s in steps))
    plan = plan_again(steps, step_id, model, made, first)
    tool = next(s.tool for s in steps if s.id == step_id)
    by = f" with {model}" if model else ""
    request = f"Run {step_id} ({tool}) again{by}, and what was built on it."

    def events() -> Iterator[AnyEvent]:
        assistant.record(reading).append("again", step=step_id, model=model, runs_as=[s.id for s in plan.steps])
        yield from assistant.run(reading, Turn(request=request, plan=plan))

    return request, events()


def _steps_of_turn(assistant: Assistant, reading: str, step_id: str) -> list[Step]:
    if assistant.is_waiting(reading):
        raise ReadingError("the plan of this reading waits for a decision: run it, change it or leave it first")
    answers = [line for line in assistant.record(reading).lines() if line["event"] == "answer" and line["plan"]]
    for line in reversed(answers):
        steps = [Step.model_validate(s) for s in line["plan"]["steps"]]
        if any(s.id == step_id for s in steps):
            return steps
    raise ReadingError(f"there is no step {step_id!r} to run again in reading {reading}")
