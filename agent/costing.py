"""What a plan will cost and what it lacks, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.plan import Plan, Step, depends_on, references
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.card import ModelCard
    from tools.models.hub import Hub

_ASKS_FOR = ("targets", "labels", "target")  # parameters that say what a model must find
_IN_MILLIMETRES = {"measure", "compare", "register", "landmarks"}
_WITHOUT_MILLIMETRES = {"intensity", "ratio"}


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
    memory = 0
    lacks: list[str] = []
    sources: dict[str, set[str]] = {}
    for step in plan.steps:
        tool = registry.get(step.tool)
        seconds, step_memory = tool.cost.seconds, tool.cost.device_memory_mb
        images = sources[step.id] = _images_behind(step, sources, facts)
        if tool.unavailable:
            lacks.append(f"{step.id} {step.tool}: cannot run in this version, {tool.unavailable}")
        if (card := card_for(step, hub, facts)) is not None:
            seconds, step_memory = max(seconds, card.seconds), max(step_memory, card.device_memory_mb)
            status = hub.status(card)
            if status.state != "ready":
                lacks.append(f"{step.id} {step.tool}: {card.name} {status.state}; {status.remedy}")
        lacks += _lacking_facts(step, images, facts)
        starts = max((ends.get(s, 0.0) for s in depends_on(step)), default=0.0)
        ends[step.id] = starts + seconds
        memory = max(memory, step_memory)
    return PlanCost(max(ends.values(), default=0.0), memory, tuple(lacks))


def card_for(step: Step, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> ModelCard | None:
    """Return the model that a step will use, as far as facts tell; None for a verb without models."""
    image = str(step.args.get("image", "")).removeprefix("@")
    if image not in facts:
        return None
    asked = next((step.args[name] for name in _ASKS_FOR if step.args.get(name)), ())
    try:
        chosen_from = hub.narrowed(step.tool, step.model) if step.model else hub
        return chosen_from.choose(step.tool, facts[image], (asked,) if isinstance(asked, str) else tuple(asked)).card
    except ToolError:
        return None  # a verb without models, or a plan that validation will refuse


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
            yield f"{step.id} {step.tool}: {image} carries no spacing, so there will be no millimetres"
    prior = str(step.args.get("prior") or "").removeprefix("@")
    if prior in facts and not facts[prior].prior:
        yield f"{step.id} {step.tool}: {prior} was not attached as the prior study (--prior); is it the older one?"
