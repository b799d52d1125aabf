"""The plan as a small graph: a box for each step, from left to right in the order in which results are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.plan import Step, depends_on, references
from ui.components.html import element, text
from ui.render import seconds_text

if TYPE_CHECKING:
    from agent.costing import StepCost
    from ui.view import StepView

BOX_WIDTH, BOX_HEIGHT = 156, 58
GAP_X, GAP_Y = 34, 14
MARGIN = 6
SIGNS = {"waiting": "○", "running": "◔", "done": "✓", "failed": "✕", "skipped": "–"}
STATE_WORDS = {
    "waiting": "not run yet", "running": "running", "done": "done", "failed": "failed", "skipped": "left out",
}  # fmt: skip


@dataclass(frozen=True)
class _Box:
    step: StepView
    column: int
    row: int

    @property
    def x(self) -> int:
        return MARGIN + self.column * (BOX_WIDTH + GAP_X)

    @property
    def y(self) -> int:
        return MARGIN + self.row * (BOX_HEIGHT + GAP_Y)


def plan_svg(steps: Sequence[StepView], costs: Mapping[str, StepCost], now: float) -> str:
    """Return the graph as SVG, or nothing where there is no step.

    Args:
        steps: of the plan, as far as they are.
        costs: per step id.
        now: seconds since the epoch.
    """
    boxes = _laid_out(steps)
    if not boxes:
        return ""
    width = max(b.x for b in boxes.values()) + BOX_WIDTH + MARGIN
    height = max(b.y for b in boxes.values()) + BOX_HEIGHT + MARGIN
    edges = "".join(_edge(boxes[source], box) for box in boxes.values() for source in _sources(box.step, boxes))
    nodes = "".join(_node(box, costs.get(box.step.id), now) for box in boxes.values())
    said = "; ".join(f"{s.id} {s.tool}, {STATE_WORDS[s.state]}" for s in steps)
    return element(
        "div",
        element(
            "svg", edges, nodes, viewBox=f"0 0 {width} {height}", width=str(width), height=str(height),
            role="img", aria_label=f"Plan: {said}",
        ),
        css="rr-graph",
    )  # fmt: skip


def _laid_out(steps: Sequence[StepView]) -> dict[str, _Box]:
    """Put each step one column behind the last of those that it needs."""
    columns: dict[str, int] = {}
    rows: dict[int, int] = {}
    boxes: dict[str, _Box] = {}
    known = {s.id for s in steps}
    for step in steps:
        needed = [columns[i] for i in _needs(step) if i in columns and i in known]
        column = max(needed, default=-1) + 1
        columns[step.id] = column
        row = rows[column] = rows.get(column, -1) + 1
        boxes[step.id] = _Box(step, column, row)
    return boxes


def _needs(step: StepView) -> set[str]:
    return depends_on(Step(id=step.id, tool=step.tool, args=dict(step.args), when=step.when))


def _sources(step: StepView, boxes: Mapping[str, _Box]) -> list[str]:
    return [i for i in boxes if i in _needs(step)]


def _edge(source: _Box, target: _Box) -> str:
    x1, y1 = source.x + BOX_WIDTH, source.y + BOX_HEIGHT // 2
    x2, y2 = target.x, target.y + BOX_HEIGHT // 2
    bend = max(12, (x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return element("path", d=path, css="rr-edge")


def _node(box: _Box, cost: StepCost | None, now: float) -> str:
    step = box.step
    inside = [
        element("title", text(_said(step, cost))),
        element("rect", x=str(box.x), y=str(box.y), width=str(BOX_WIDTH), height=str(BOX_HEIGHT), rx="7"),
        _line(box, 19, _short(f"{SIGNS[step.state]} {step.tool.replace('_', ' ')}", 17), "rr-node-tool"),
        element("text", text(step.id), x=str(box.x + BOX_WIDTH - 9), y=str(box.y + 19), css="rr-node-id"),
        _line(box, 35, _second_line(step, cost), "rr-node-small"),
        _line(box, 50, _third_line(step, cost, now), "rr-node-small"),
    ]
    if step.state == "running":
        inside.append(_bar(box, step.fraction))
    return element("g", *inside, css=f"rr-node rr-node-{step.state}{' rr-node-lacks' if cost and cost.lacks else ''}")


def _bar(box: _Box, fraction: float) -> str:
    width = max(4, round((BOX_WIDTH - 2) * fraction))
    return element(
        "rect", x=str(box.x + 1), y=str(box.y + BOX_HEIGHT - 4), width=str(width), height="3", css="rr-node-bar"
    )


def _line(box: _Box, down: int, words: str, css: str) -> str:
    return element("text", text(words), x=str(box.x + 9), y=str(box.y + down), css=css)


def _second_line(step: StepView, cost: StepCost | None) -> str:
    """The model where there is one, else what it works on."""
    if cost and cost.model:
        return _short(cost.model)
    on = sorted(references(dict(step.args)))
    return _short("on " + ", ".join(on)) if on else ""


def _third_line(step: StepView, cost: StepCost | None, now: float) -> str:
    if step.state == "running":
        return f"{seconds_text(max(0.0, now - step.started_at))} · {step.fraction:.0%}"
    if step.state == "done":
        return seconds_text(step.seconds)
    if step.state in ("failed", "skipped"):
        return STATE_WORDS[step.state]
    if cost is None:
        return ""
    if cost.lacks:
        return "! something is missing"
    memory = f" · {cost.device_memory_mb} MB" if cost.device_memory_mb else ""
    return f"about {seconds_text(cost.seconds)}{memory}"


def _said(step: StepView, cost: StepCost | None) -> str:
    parts = [f"{step.id} {step.tool}: {STATE_WORDS[step.state]}"]
    if cost and cost.model:
        parts.append(f"{cost.model}: {cost.why}" if cost.why else cost.model)
    if cost and cost.lacks:
        parts += cost.lacks
    if step.message:
        parts.append(step.message)
    return ". ".join(parts)


def _short(words: str, most: int = 23) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
