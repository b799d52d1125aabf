"""A program that asks for three steps, the second slow: `counting.py FOLDER [READING]`, killed by test_run.py."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

from conftest import ScriptedPlanner, one_value, plan_of
from pydantic import Field

from agent.assistant import Assistant
from agent.settings import Settings
from tools.contract import AnyRef, ToolContext, tool
from tools.registry import Registry
from tools.results import Measurements

FOLDER = Path(sys.argv[1])


@tool()
def count(
    ctx: ToolContext,
    value: Annotated[float, Field(description="what to return")] = 1.0,
    after: Annotated[list[AnyRef], Field(description="results to wait for")] = [],  # noqa: B006
) -> Measurements:
    """Count how often it runs; the one of value two waits for a go."""
    with (FOLDER / "runs.txt").open("a") as runs:
        runs.write(f"{ctx.step_id}\n")
    (ctx.folder / "half.txt").write_text("half")
    while value == 2.0 and not (FOLDER / "go").exists():
        ctx.progress(0.5)
        time.sleep(0.01)
    return one_value(ctx, value)


def main() -> None:
    plan = plan_of(
        ("count", {"value": 1.0}), ("count", {"value": 2.0, "after": ["@s1"]}),
        ("count", {"value": 3.0, "after": ["@s2"]}),
    )  # fmt: skip
    assistant = Assistant(
        settings=Settings(readings_dir=FOLDER / "readings", device="cpu"), registry=Registry([count]),
        hub=SimpleNamespace(cards=()), planner=ScriptedPlanner([plan]),
    )  # fmt: skip
    resumes = len(sys.argv) > 2
    for event in assistant.resume_stream(sys.argv[2]) if resumes else assistant.stream("count"):
        print(event.model_dump_json(), flush=True)  # noqa: T201
    (reading,) = assistant.readings()
    print(assistant.answer(reading).model_dump_json(), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
