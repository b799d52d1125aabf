"""Runs one tool in a reading that has other results already, beside any plan."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agent.run import run_one_tool
from agent.step_ids import reserve_step

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from agent.events import AnyEvent
    from tools.workspace import Artifact


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
    workspace = assistant.workspace(reading)
    step = reserve_step(workspace, assistant.record(reading))
    try:
        return run_one_tool(assistant.context(reading, on_event, cancelled), name, args, step=step)
    except BaseException:
        if not workspace.has_artifact(step):
            shutil.rmtree(workspace.root / "artifacts" / step, ignore_errors=True)
        raise
