"""The page over the real assistant: real tools on a phantom, a planner that gives scripted plans.

python -m tests.reading_server FOLDER PORT PLANNER
"""

from __future__ import annotations

import errno
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tests.served import served
from tools.contract import ImageRef, ToolContext, tool
from tools.results import Measurements
from tools.workspace import writing

SLOW_S = 30.0
"""How long `linger` takes for the first time; then it is quick."""


@contextmanager
def reading_server(
    folder: Path, port: int, env: Mapping[str, str] | None = None, *, planner: str = "scripted"
) -> Iterator[str]:
    """Yield the address of a page; used again with the same folder and port it is a restart after a power cut.

    Args:
        folder: readings, uploads, the server's log; models in weights/NAME with their card.toml.
        port: a free one.
        env: settings; each plan waits unless they say otherwise.
        planner: "scripted", or "own": the assistant's.
    """
    given = {"READINGROOM_APPROVAL": "ask-before-running", **(env or {})}
    with served("tests.reading_server", folder, port, planner, env=given, dies=True) as address:
        yield address


@tool()
def linger(ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image")]) -> Measurements:
    """Take long for the first time, and say how far it is."""
    done = ctx.workspace.root / "lingered"
    pause_s = 0.1 if done.exists() else SLOW_S / 10
    done.touch()
    for tenth in range(10):
        ctx.progress(tenth / 10, f"slice {tenth + 1} of 10")
        time.sleep(pause_s)
    return Measurements(summary="It took its time.", rows=())


@tool()
def fill(ctx: ToolContext, image: Annotated[ImageRef, Field(description="the image")]) -> Measurements:
    """Write until the disk is full."""
    path = ctx.workspace.root / "too-large"
    with writing(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def fill_uploads_disk(folder: Path) -> None:
    """Make the disk of the uploads alone be full for as long as there is a file FOLDER/disk-full."""
    real = shutil.disk_usage

    def seen(path: Any) -> Any:
        is_full = (folder / "disk-full").exists() and Path(path).is_relative_to(folder / "uploads")
        return real(path)._replace(free=0) if is_full else real(path)

    shutil.disk_usage = seen  # type: ignore[assignment]


class Planner:
    """Plans by a word of the request."""

    planned_by, can_replan = "a script", False

    def plan(self, request: str, facts: Any, *, first_step: int = 1, comment: Any = None, **rest: Any) -> Any:
        from agent.plan import Clarify, Plan, Step
        from agent.planner import PlanningResult

        n = first_step
        if "linger" in request:
            steps = [Step(id=f"s{n}", tool="linger", args={"image": "@img1"})]
        elif "fill" in request:
            steps = [Step(id=f"s{n}", tool="fill", args={"image": "@img1"})]
        elif "spleen" in request:
            steps = [
                Step(id=f"s{n}", tool="segment", args={"image": "@img1", "targets": ["spleen"]}),
                Step(id=f"s{n + 1}", tool="measure", args={"mask": f"@s{n}", "quantities": ["volume"]}),
            ]
            if "lungs" in request:
                steps += [
                    Step(id=f"s{n + 2}", tool="segment", args={"image": "@img1", "targets": ["lungs"]}),
                    Step(id=f"s{n + 3}", tool="measure", args={"mask": f"@s{n + 2}", "quantities": ["volume"]}),
                ]
        elif "lungs" in request:
            steps = [
                Step(id=f"s{n}", tool="segment", args={"image": "@img1", "targets": ["lungs"]}),
                Step(id=f"s{n + 1}", tool="measure", args={"mask": f"@s{n}", "quantities": ["volume", "intensity"]}),
                Step(id=f"s{n + 2}", tool="draft_report", args={"evidence": [f"@s{n}", f"@s{n + 1}"]}),
            ]
        else:
            return PlanningResult(outcome=Clarify(question="What should be done?"), decided_by="script")
        return PlanningResult(outcome=Plan(steps=tuple(steps[:1] if comment else steps)), decided_by="script")


class NoStore:
    """A report store that holds nothing."""

    def report(self, report_id: str) -> Any:
        from knowledge.errors import NotFoundError

        raise NotFoundError(f"no report {report_id!r}")


def main() -> None:
    """Serve until terminated; the first line says where."""
    from agent.assistant import Assistant
    from agent.settings import Settings
    from knowledge.embed import HashEmbedder
    from tests.agent.test_model_choice import card
    from tools.models.hub import Hub
    from tools.registry import Registry
    from ui.server import serve

    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    fill_uploads_disk(folder)
    settings = Settings(
        readings_dir=folder / "readings",
        cache_dir=folder / "cache",
        data_dir=folder / "data",
        device="cpu",
        weights_dir=folder / "weights",
    )
    hub = Hub.installed(weights_dir=settings.weights_dir)
    for extra in (card("second-opinion", seconds=2.0), card("not-installed", runtime="none-such")):
        hub.adopt(extra)
    assistant = Assistant(
        settings=settings, registry=Registry.installed().with_tools(linger, fill), hub=hub,
        planner=Planner() if sys.argv[3] == "scripted" else None,  # type: ignore[arg-type]  # all that is asked
        embedder=HashEmbedder(), knowledge=NoStore(),  # type: ignore[arg-type]
    )  # fmt: skip
    serve(assistant, "127.0.0.1", port, lambda address: print(address, flush=True))  # noqa: T201  its caller reads it


if __name__ == "__main__":
    main()
