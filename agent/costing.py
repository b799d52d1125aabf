"""What a plan will cost and what it lacks, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.plan import Plan, Step, depends_on, references
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.models.shares import share_of, shares_of
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.contract import Tool
    from tools.models.card import ModelCard
    from tools.models.hub import Hub
    from tools.models.shares import Share

_ASKS_FOR = ("targets", "labels", "target")  # parameters that say what a model must find
_IN_MILLIMETRES = {"measure", "compare", "register", "landmarks"}
_WITHOUT_MILLIMETRES = {"intensity", "ratio"}


@dataclass(frozen=True)
class StepCost:
    """What one step will take, and which model does it."""

    seconds: float
    device_memory_mb: int = 0
    model: str = ""
    """Name of the card; empty for a verb without models."""
    why: str = ""
    """Why the hub chose it."""
    lacks: tuple[str, ...] = ()
    """What is missing, with the command that mends it."""


@dataclass(frozen=True)
class PlanCost:
    """Estimated wall seconds along the longest chain, device memory of the largest step, and what is missing."""

    seconds: float
    device_memory_mb: int
    lacks: tuple[str, ...]


def cost_of(plan: Plan, registry: Registry, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> PlanCost:
    """Add up what the tools and the chosen models declare; independent steps run side by side.

    Args:
        plan: what is to be run.
        registry: the tools.
        hub: the models.
        facts: of every attachment and of every image that earlier steps made, by id.
    """
    ends: dict[str, float] = {}
    costs = step_costs(plan, registry, hub, facts)
    for step in plan.steps:
        starts = max((ends.get(s, 0.0) for s in depends_on(step)), default=0.0)
        ends[step.id] = starts + costs[step.id].seconds
    memory = max((c.device_memory_mb for c in costs.values()), default=0)
    lacks = tuple(f"{s.id} {s.tool}: {lack}" for s in plan.steps for lack in costs[s.id].lacks)
    return PlanCost(max(ends.values(), default=0.0), memory, lacks)


def step_costs(plan: Plan, registry: Registry, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> dict[str, StepCost]:
    """Return what each step will take; for the arguments see `cost_of`."""
    sources: dict[str, set[str]] = {}
    costs = {}
    for step in plan.steps:
        sources[step.id] = _images_behind(step, sources, facts)
        costs[step.id] = _step_cost(step, registry.get(step.tool), hub, sources[step.id], facts)
    return costs


def _step_cost(step: Step, tool: Tool, hub: Hub, images: set[str], facts: Mapping[str, AttachmentFacts]) -> StepCost:
    seconds, memory, model, why = tool.cost.seconds, tool.cost.device_memory_mb, "", ""
    shares = _shares_of(step, hub, facts)
    if shares:
        able = [share for share in shares if not share.lacks] or shares
        cards = [share.choice.card for share in able]
        seconds = max(seconds, sum(card.seconds for card in cards))
        memory = max(memory, *(card.device_memory_mb for card in cards))
        model, why = cards[0].name, able[0].choice.reason
    lacks = [f"{_of(share) if len(shares) > 1 else ''}{share.lacks}" for share in shares if share.lacks]
    lacks += _lacking_facts(step, images, facts)
    return StepCost(seconds, memory, model, why, tuple(lacks))


def _of(share: Share) -> str:
    return f"{', '.join(share.targets)}: "


def cards_for(step: Step, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> list[ModelCard]:
    """Return the models that a step will use, in order, as far as facts tell; none for a verb without models."""
    shares = _shares_of(step, hub, facts)
    return [share.choice.card for share in shares if not share.lacks] or [share.choice.card for share in shares]


def _shares_of(step: Step, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> tuple[Share, ...]:
    """Return the models that a step will use, each with its share of the targets; none for a verb without models."""
    image = str(step.args.get("image", "")).removeprefix("@")
    if image not in facts:
        return ()
    asked = targets_of(step)
    try:
        chosen_from = hub.narrowed(step.tool, step.model) if step.model else hub
        if step.tool == "segment":
            return shares_of(chosen_from, step.tool, facts[image], asked)
        return (share_of(chosen_from, chosen_from.choose(step.tool, facts[image], asked), asked),)
    except ToolError:
        return ()  # a verb without models, or a plan that validation will refuse


def targets_of(step: Step) -> tuple[str, ...]:
    """Return what a step asks a model to find."""
    asked = next((step.args[name] for name in _ASKS_FOR if step.args.get(name)), ())
    return (asked,) if isinstance(asked, str) else tuple(asked)


def _images_behind(step: Step, sources: Mapping[str, set[str]], facts: Mapping[str, AttachmentFacts]) -> set[str]:
    """Return the images that a step works on, through the steps that it builds upon and the masks that it names."""
    found: set[str] = set()
    for reference in references(step.args):
        if reference in sources:
            found |= sources[reference]
        elif reference in facts:
            known = facts[reference]
            found |= {known.of} & set(facts) if known.kind == "mask" else {reference}
    return found


def _lacking_facts(step: Step, images: set[str], facts: Mapping[str, AttachmentFacts]) -> Iterator[str]:
    quantities = set(step.args.get("quantities") or ())
    needs_spacing = step.tool in _IN_MILLIMETRES and not (quantities and quantities <= _WITHOUT_MILLIMETRES)
    for image in sorted(images):
        if needs_spacing and facts[image].has_spacing is False:
            yield f"{image} carries no spacing, so there will be no millimetres"
    prior = str(step.args.get("prior") or "").removeprefix("@")
    if prior in facts and facts[prior].kind == "image" and not facts[prior].prior:
        yield f"{prior} was not attached as the prior study (--prior); is it the older one?"
