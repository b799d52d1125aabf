"""Runs one tool for an MCP client: in a thread, with progress, and stopped when the client gives up."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.events import AnyEvent, Progress, StepStarted
from agent.single import run_single

if TYPE_CHECKING:
    import anyio

    from agent.assistant import Assistant
    from tools.workspace import Artifact

Report = Callable[[float, str], Awaitable[None]]
REPORT_EVERY_S = 0.1


@dataclass
class Newest:
    """The newest news of a run: what comes faster than it can be told is left out."""

    fraction: float = 0.0
    message: str = ""
    told: float = field(default=-1.0)

    def take(self, event: AnyEvent) -> None:
        """Take note of an event."""
        if isinstance(event, StepStarted):
            self.message = f"{event.tool} has begun"
        elif isinstance(event, Progress):
            self.fraction, self.message = max(self.fraction, min(1.0, event.fraction)), event.message

    async def tell(self, report: Report) -> None:
        """Tell it if it goes on: the protocol wants a number that grows."""
        if self.message and self.fraction > self.told:
            self.told = self.fraction
            await report(self.fraction, self.message)


async def run_tool(
    assistant: Assistant,
    reading: str,
    name: str,
    args: Mapping[str, Any],
    report: Report,
    limiter: anyio.CapacityLimiter,
) -> Artifact:
    """Run one tool in a reading and return what it made.

    Raises:
        ToolError: the tool refused; says why.
    """
    import anyio
    import anyio.to_thread

    newest, cancelled = Newest(), threading.Event()

    async def tell_on() -> None:
        while True:
            await newest.tell(report)
            await anyio.sleep(REPORT_EVERY_S)

    outcome: list[Artifact | BaseException] = []

    def work() -> None:
        try:
            outcome.append(run_single(assistant, reading, name, args, newest.take, cancelled))
        except BaseException as error:  # noqa: BLE001  raised again by the task that waits
            outcome.append(error)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell_on)
            await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
            tasks.cancel_scope.cancel()
    finally:
        cancelled.set()
    made = outcome[0]
    if isinstance(made, BaseException):
        raise made
    newest.fraction, newest.message = 1.0, "done"
    await newest.tell(report)
    return made
