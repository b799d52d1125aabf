"""How much time the graph adds to the tools, and what running steps side by side saves.

    python benchmarks/orchestration.py

The peer is the same tool called directly, in the same run: once, and three times one by one. Limits: under 5 % beyond a
one-second tool; three independent one-second steps at least twice as fast as one by one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from isolated_work import isolated_work
from pydantic import Field

from agent.assistant import Assistant
from agent.plan import Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from tools.contract import AnyRef, ToolContext, tool
from tools.models.hub import Hub
from tools.registry import Registry
from tools.results import Measurements

TOOL_SECONDS = 1.0
ROUNDS = 5


@tool()
def work(
    ctx: ToolContext | None,
    seconds: Annotated[float, Field(description="how long to work")] = TOOL_SECONDS,
    after: Annotated[AnyRef | None, Field(description="a result to wait for")] = None,
) -> Measurements:
    """Work for a while, as a tool of known cost."""
    time.sleep(seconds)
    return Measurements(summary="Worked.", rows=())


class FixedPlan:
    """A planner that costs nothing, so that only the graph is measured."""

    planned_by = "none"
    can_replan = False

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps

    def plan(self, request: str, facts: object, **rest: object) -> PlanningResult:
        """Return the steps; every request is a reading of its own, so that ids may be the same."""
        return PlanningResult(outcome=Plan(steps=self.steps), decided_by="fixed")


def independent(count: int, seconds: float, tool_name: str = "work") -> tuple[Step, ...]:
    args: dict[str, object] = {"seconds": seconds} if tool_name == "work" else {}
    return tuple(Step(id=f"s{n}", tool=tool_name, args=args) for n in range(1, count + 1))


def in_a_chain(count: int, seconds: float) -> tuple[Step, ...]:
    return tuple(
        Step(id=f"s{n}", tool="work", args={"seconds": seconds, "after": f"@s{n - 1}" if n > 1 else None})
        for n in range(1, count + 1)
    )


def timed(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the fastest of some rounds, in seconds: the rest is the machine's noise."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def assistant_with(steps: tuple[Step, ...]) -> Assistant:
    return Assistant(
        settings=Settings(readings_dir=Path(tempfile.mkdtemp(dir=FOLDER)), device="cpu"),
        registry=Registry([work, isolated_work]),
        hub=Hub([]),
        planner=FixedPlan(steps),  # type: ignore[arg-type]
    )


def through_the_graph(steps: tuple[Step, ...]) -> float:
    assistant = assistant_with(steps)
    assistant.ask("warm up")
    return timed(lambda: assistant.ask("work"))


def main() -> None:
    direct = timed(lambda: work.function(None, TOOL_SECONDS))
    one_by_one = timed(lambda: [work.function(None, TOOL_SECONDS) for _ in range(3)], rounds=2)
    one = through_the_graph(independent(1, TOOL_SECONDS))
    chain = through_the_graph(in_a_chain(3, TOOL_SECONDS))
    three = through_the_graph(independent(3, TOOL_SECONDS))
    print(f"one second of work, called directly    {direct:7.3f} s")
    print(f"  as one step through the graph        {one:7.3f} s   overhead {(one - direct) / direct:.3f}, limit 0.05")
    print(f"three of them, called one by one       {one_by_one:7.3f} s")
    print(f"  as a chain of steps                  {chain:7.3f} s   ratio {chain / one_by_one:.3f}, limit 1.05")
    print(f"  as independent steps                 {three:7.3f} s   speed-up {one_by_one / three:.2f} x, limit 2.0 x")
    per_step()


def per_step() -> None:
    """Say what a step costs beyond the first: the graph's own cost falls once a request."""
    few, many = through_the_graph(in_a_chain(1, 0.0)), through_the_graph(in_a_chain(9, 0.0))
    each = (many - few) / 8
    print(f"empty request with one step            {few * 1000:7.1f} ms")
    print(f"each further step                      {each * 1000:7.1f} ms  of one second {each:.4f}, limit 0.02")
    isolated = assistant_with(independent(1, 0.0, "isolated_work"))
    first = timed(lambda: isolated.ask("work"), rounds=1)
    warm = timed(lambda: isolated.ask("work"))
    print(f"isolated step, process started for it  {first * 1000:7.1f} ms")
    print(f"isolated step, process kept            {warm * 1000:7.1f} ms  {(warm - few) * 1000:.1f} ms more")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as FOLDER:
        main()
