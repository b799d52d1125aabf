"""A run while it happens, on stderr: a live display where somebody watches, one line an event elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from agent.events import Attached, Planned, Planning, StepFailed, StepFinished
from ui.render import argument_text, clean, decider_text, facts_text, seconds_text
from ui.view import RunView, fold

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from agent.events import AnyEvent
    from ui.console import Terminal


class LiveRun:
    """Shows events; use as a context manager around the run and give `on_event` to the assistant."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._live: Live | None = None
        self.view = RunView()

    def __enter__(self) -> LiveRun:
        console = self._terminal.err
        if console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._render, console=console, transient=True, refresh_per_second=8)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def on_event(self, event: AnyEvent) -> None:
        """Take an event in."""
        self.view = fold(self.view, event)
        if self._live is None:
            for line in lines_of(event):
                self._terminal.note(line)

    def _render(self) -> RenderableType:
        from ui.terminal import run_lines

        return run_lines(self.view, time.time())


class EventLines:
    """Prints each event as a line of JSON on stdout while it happens, for a program that reads along."""

    def __enter__(self) -> EventLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def on_event(self, event: AnyEvent) -> None:
        """Print an event."""
        sys.stdout.write(event.model_dump_json() + "\n")
        sys.stdout.flush()


def lines_of(event: AnyEvent) -> list[str]:
    """Return the lines that an event is worth in a log; progress within a step is worth none."""
    match event:
        case Attached():
            return [f"{clean(event.name)}: {facts_text(event.facts)}"]
        case Planning():
            return [f"planning with {clean(event.by)} …"]
        case Planned():
            lacks = [f"  missing: {clean(m)}" for m in event.lacks]
            memory = f", {event.device_memory_mb} MB of device memory" if event.device_memory_mb else ""
            about = f"about {seconds_text(event.estimated_seconds)} to run{memory}"
            head = f"plan by {decider_text(event.decided_by)} in {seconds_text(event.seconds)}, {about}:"
            return [head, *(f"  {s.id} {s.tool}  {argument_text(s.args)}" for s in event.plan.steps), *lacks]
        case StepFinished():
            return [f"{event.step} {event.tool}: {seconds_text(event.seconds)}, {clean(event.summary)}"]
        case StepFailed():
            word = "skipped" if event.kind == "skipped" else "failed"
            return [f"{event.step} {event.tool}: {word}, {clean(event.message)}"]
    return []
