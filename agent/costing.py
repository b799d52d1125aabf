"""What a plan will cost and what it lacks, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.plan import Plan, Step, depends_on
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.registry import Registry

if TYPE_CHECKING:
    from tools.models.hub import Hub


@dataclass(frozen=True)
class PlanCost:
    """Estimated wall seconds along the longest chain, device memory of the largest step, and what is missing."""

    seconds: float
    device_memory_mb: int
    lacks: tuple[str, ...]


def cost_of(plan: Plan, registry: Registry, hub: Hub, facts: Mapping[str, AttachmentFacts]) -> PlanCost:
    """Add up what the tools and the chosen models declare; independent steps run side by side."""
    ends: dict[str, float] = {}
    memory = 0
    lacks: list[str] = []
    for step in plan.steps:
        declared = registry.get(step.tool).cost
        seconds, step_memory = declared.seconds, declared.device_memory_mb
        card = _card(step, hub, facts)
        if card is not None:
            seconds, step_memory = max(seconds, card.seconds), max(step_memory, card.device_memory_mb)
            status = hub.status(card)
            if status.state != "ready":
                lacks.append(f"{step.id} {step.tool}: {card.name} {status.state}; {status.remedy}")
        starts = max((ends.get(s, 0.0) for s in depends_on(step)), default=0.0)
        ends[step.id] = starts + seconds
        memory = max(memory, step_memory)
    return PlanCost(max(ends.values(), default=0.0), memory, tuple(lacks))


def _card(step: Step, hub: Hub, facts: Mapping[str, AttachmentFacts]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    image = str(step.args.get("image", "")).removeprefix("@")
    if image not in facts:
        return None
    targets = step.args.get("targets", ())
    try:
        return hub.choose(step.tool, facts[image], tuple(targets)).card
    except ToolError:
        return None  # a verb without models, or a plan that validation will refuse
