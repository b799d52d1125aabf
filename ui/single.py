"""Runs one tool in a reading that has other results already, beside any plan."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.events import AnyEvent
    from tools.workspace import Artifact, Workspace


def run_single(
    assistant: Assistant,
    reading: str,
    name: str,
    args: Mapping[str, Any],
    on_event: Callable[[AnyEvent], None] = lambda event: None,
    cancelled: threading.Event | None = None,
) -> Artifact:
    """Run one tool under the next free id and return what it made.

    Raises:
        ToolError: the tool refused; says why.
    """
    from agent.run import run_one_tool

    workspace = assistant.workspace(reading)
    step = reserve(workspace)
    try:
        return run_one_tool(assistant.context(reading, on_event, cancelled), name, args, step=step)
    except BaseException:
        if not workspace.has_artifact(step):
            shutil.rmtree(workspace.root / "artifacts" / step, ignore_errors=True)
        raise


def reserve(workspace: Workspace) -> str:
    """Return the next free step id; making its folder takes it, whoever else asks at the same time."""
    folder = workspace.root / "artifacts"
    number = 1 + max((int(p.name[1:]) for p in folder.glob("s*") if p.name[1:].isdigit()), default=0)
    while True:
        try:
            (folder / f"s{number}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return f"s{number}"
