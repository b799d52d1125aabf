"""A plan that waits for a person: why it waits, what it will cost, and what is missing for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ui.components.html import element, text
from ui.render import argument_text, seconds_text

if TYPE_CHECKING:
    from agent.costing import StepCost
    from agent.pausing import Pause
    from agent.plan import Plan, Step


def pause_html(pause: Pause, costs: Mapping[str, StepCost]) -> str:
    """Return the plan with its cost, step by step.

    Args:
        pause: what waits.
        costs: per step id.
    """
    memory = f", {pause.device_memory_mb} MB of GPU memory" if pause.device_memory_mb else ""
    about = f"About {seconds_text(pause.estimated_seconds)} to run{memory}. Nothing of it has run yet."
    return element(
        "div",
        element("h3", text("Waits for your decision")),
        element("p", text(about)),
        _reasons(pause.reasons),
        _steps(pause.plan.steps, costs),
        _lacks(pause.lacks),
        css="rr-pause",
    )


def checked_plan_html(plan: Plan, costs: Mapping[str, StepCost]) -> str:
    """Return that a changed plan can run, and what it will cost."""
    lacks = [f"{step.id} {step.tool}: {lack}" for step in plan.steps for lack in costs[step.id].lacks]
    total = sum(costs[step.id].seconds for step in plan.steps)
    count = len(plan.steps)
    said = f"✓ It can run: {count} step{'' if count == 1 else 's'}, at most {seconds_text(total)}."
    return element("p", text(said), css="rr-fine", role="status") + _lacks(lacks)


def _reasons(reasons: Sequence[str]) -> str:
    return element("p", text("Why it waits: " + "; ".join(reasons) + "."), css="rr-why") if reasons else ""


def _steps(steps: Sequence[Step], costs: Mapping[str, StepCost]) -> str:
    return element("ol", *(_step(step, costs.get(step.id)) for step in steps), css="rr-pause-steps")


def _step(step: Step, cost: StepCost | None) -> str:
    about = f"about {seconds_text(cost.seconds)}" if cost else ""
    model = element("small", text(f"{cost.model}: {cost.why}"), css="rr-why") if cost and cost.model else ""
    return element(
        "li",
        element("b", text(f"{step.id} {step.tool}")),
        element("time", text(about)),
        element("code", text(argument_text(step.args))),
        model,
    )


def _lacks(lacks: Sequence[str]) -> str:
    return element("ul", *(element("li", text(lack)) for lack in lacks), css="rr-lacks") if lacks else ""
