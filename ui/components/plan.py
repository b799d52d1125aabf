"""The tab Plan: the graph, then each step with its arguments, model, reason, cost and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ui.components.citing import marks_html
from ui.components.graph import SIGNS, STATE_WORDS, plan_svg
from ui.components.html import element, text
from ui.render import argument_text, seconds_text

if TYPE_CHECKING:
    from agent.costing import StepCost
    from tools.workspace import Artifact
    from ui.view import RunView, StepView


def plan_tab_html(view: RunView, costs: Mapping[str, StepCost], made: Mapping[str, Artifact], now: float) -> str:
    """Return the plan of a turn as far as it has run.

    Args:
        view: the turn.
        costs: per step id, as estimated before the run.
        made: results, per step id.
        now: seconds since the epoch.
    """
    if not view.steps:
        return ""
    rows = "".join(_step(s, costs.get(s.id), made.get(s.id)) for s in view.steps)
    title = element("h3", text("Plan"), element("small", text(view.request)))
    return title + plan_svg(view.steps, costs, now) + element("div", rows, css="rr-steps")


def _step(step: StepView, cost: StepCost | None, made: Artifact | None) -> str:
    head = element(
        "summary",
        element("span", text(SIGNS[step.state]), css="rr-sign"),
        element("b", text(f"{step.id} {step.tool}")),
        element("span", text(STATE_WORDS[step.state]), css="rr-soft"),
        marks_html(step.marks),
        element("span", text(step.message), css="rr-step-said"),
    )
    rows = "".join(element("dt", text(n)) + element("dd", text(v)) for n, v in _details(step, cost, made))
    return element("details", head, element("dl", rows), css=f"rr-step-details rr-{step.state}")


def _details(step: StepView, cost: StepCost | None, made: Artifact | None) -> list[tuple[str, str]]:
    rows = [("Arguments", argument_text(step.args) or "none")]
    if step.when:
        when = step.when
        rows.append(
            ("Only if", f"{when.quantity} of {when.step} is {when.relation} {when.value:g} {when.unit}".strip())
        )
    model = made.provenance.model if made else None
    if model:
        rows += [("Model", f"{model.card} {model.version} on {model.device}"), ("Why this model", model.reason)]
    elif cost and cost.model:
        rows += [("Model", cost.model), ("Why this model", cost.why)]
    if cost:
        memory = f", {cost.device_memory_mb} MB of GPU memory" if cost.device_memory_mb else ""
        rows.append(("Expected", f"{seconds_text(cost.seconds)}{memory}"))
        rows += [("Missing", lack) for lack in cost.lacks]
    if step.state == "done":
        rows.append(("Took", seconds_text(step.seconds)))
    if made:
        rows += [("Note", str(note)) for note in made.data.get("notes", ())]
        rows.append(("Made from", ", ".join(made.provenance.inputs) or "nothing"))
        rows.append(("Software", made.provenance.software or "not noted"))
    return [(name, value) for name, value in rows if value]
