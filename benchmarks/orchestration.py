"""How much time the graph adds to the tools, and what running steps side by side saves.

    python benchmarks/orchestration.py

The peer is the same tool called directly, in the same run. Limits: under 5 % beyond a one-second tool; three
independent one-second steps in under 1.5 s.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

from pydantic import Field

from agent.assistant import Assistant
from agent.plan import Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from tools.contract import ToolContext, tool
from tools.registry import Registry
from tools.results import Measurements

TOOL_SECONDS = 1.0
ROUNDS = 5


@tool()
def work(
    ctx: ToolContext, seconds: Annotated[float, Field(description="how long to work")] = TOOL_SECONDS
) -> Measurements:
    """Work for a while, as a tool of known cost."""
    time.sleep(seconds)
    return Measurements(summary="Worked.", rows=())


class FixedPlan:
    """A planner that costs nothing, so that only the graph is measured."""

    planned_by = "none"
    can_replan = False

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def plan(self, request: str, facts: object, *, first_step: int = 1, **rest: object) -> PlanningResult:
        """Return independent steps."""
        steps = tuple(Step(id=f"s{first_step + n}", tool="work", args={}) for n in range(self.steps))
        return PlanningResult(outcome=Plan(steps=steps), decided_by="fixed")


def timed(call: Callable[[], object]) -> float:
    """Return the fastest of some rounds, in seconds: the rest is the machine's noise."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def through_the_graph(folder: Path, steps: int) -> float:
    assistant = Assistant(
        settings=Settings(readings_dir=folder, device="cpu"),
        registry=Registry([work]),
        hub=SimpleNamespace(cards=()),  # type: ignore[arg-type]
        planner=FixedPlan(steps),  # type: ignore[arg-type]
    )
    assistant.ask("warm up")
    return timed(lambda: assistant.ask("work"))


def main() -> None:
    direct = timed(lambda: work.function(None))
    with tempfile.TemporaryDirectory() as folder:
        one = through_the_graph(Path(folder) / "one", 1)
        three = through_the_graph(Path(folder) / "three", 3)
    overhead = one - direct
    print(f"tool called directly        {direct:7.3f} s")
    print(f"one step through the graph  {one:7.3f} s   overhead {overhead * 1000:.0f} ms")
    print(f"ratio overhead / tool       {overhead / direct:7.3f}     limit 0.05")
    print(f"three independent steps     {three:7.3f} s")
    print(f"speed-up over one by one    {3 * direct / three:7.2f} ×   limit 2.0 ×")


if __name__ == "__main__":
    main()
