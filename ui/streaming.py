"""Runs beside the event loop: each has its own thread and goes on whether or not a page looks at it.

A page that was closed, reloaded or opened twice finds the run by its reading and sees it as far as it is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.errors import ReadingError, RunError
from agent.events import Failed
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.failures import keep_traceback
from ui.view import RunView, fold

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.events import AnyEvent

logger = logging.getLogger(f"readingroom.{__name__}")

LOOK_S = 0.1  # how often a page looks for something new
TICK_S = 1.0  # how often the clocks on the page move while no event comes
CONCURRENT_RUNS = 2  # the rest waits in line: two cores, one device

Start = Callable[[Callable[["AnyEvent"], None]], "Answer"]


class GoingRun:
    """One run as far as it is; the thread writes, any number of pages read."""

    def __init__(self, view: RunView, start: Start) -> None:
        self._lock = threading.Lock()
        self._view = view
        self._start = start
        self.version = 0
        self.is_over = False

    @property
    def view(self) -> RunView:
        """What is known now."""
        return self._view

    def change(self, change: Callable[[RunView], RunView]) -> None:
        """Replace the view by a new one."""
        with self._lock:
            self._view = change(self._view)
            self.version += 1

    def work(self) -> None:
        """Run to the end; every error becomes part of what is shown."""
        try:
            answer = self._start(lambda event: self.change(lambda view: fold(view, event)))
        except BaseException as error:  # noqa: BLE001  shown on the page
            failed = failure_of(self._view.reading, error)
            self.change(lambda view: view if view.failed is not None else fold(view, failed))
        else:
            self.change(lambda view: replace(view, answer=answer, reading=answer.reading))
        self.is_over = True


class Runs:
    """The runs of this server, at most some at a time; the rest waits in line in the order in which it came.

    Args:
        at_once: how many may work at the same time.
    """

    def __init__(self, at_once: int = CONCURRENT_RUNS) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._going: dict[str, GoingRun] = {}
        self._line: list[str] = []
        self._working: set[str] = set()

    def start(self, view: RunView, start: Start) -> GoingRun:
        """Begin a run of a reading, or put it in line.

        Args:
            view: what is known before it starts; names its reading.
            start: runs to the end, calls what it is given with each event, and returns the answer.

        Raises:
            ReadingError: the reading is running already, in this tab or another.
        """
        with self._lock:
            if view.reading in self._going:
                raise ReadingError("This reading is running already, started in another tab. Both tabs show it.")
            going = self._going[view.reading] = GoingRun(view, start)
            self._line.append(view.reading)
        self._begin_next()
        return going

    def going(self, reading: str) -> GoingRun | None:
        """Return the run of a reading that has not ended, or None."""
        with self._lock:
            return self._going.get(reading)

    def leave_line(self, reading: str) -> bool:
        """Take a run that has not begun out of the line; False where it has begun, or there is none."""
        with self._lock:
            if reading not in self._line:
                return False
            self._line.remove(reading)
            going = self._going.pop(reading)
        message = "stopped before it began"
        going.change(lambda view: fold(view, Failed(reading=reading, kind="cancelled", message=message)))
        going.is_over = True
        self._tell_places()
        return True

    def _begin_next(self) -> None:
        with self._lock:
            ready = self._line[: self._at_once - len(self._working)]
            del self._line[: len(ready)]
            self._working.update(ready)
            begun = [self._going[reading] for reading in ready]
        for going in begun:
            going.change(lambda view: replace(view, before=0))
            threading.Thread(target=self._work, args=(going,), name="page-run", daemon=True).start()
        self._tell_places()

    def _work(self, going: GoingRun) -> None:
        reading = going.view.reading
        try:
            going.work()
        finally:
            with self._lock:
                self._working.discard(reading)
                self._going.pop(reading, None)
            self._begin_next()

    def _tell_places(self) -> None:
        with self._lock:
            waiting = [(self._going[reading], place) for place, reading in enumerate(self._line, 1)]
        for going, place in waiting:
            going.change(lambda view, place=place: replace(view, before=place))


async def views(going: GoingRun) -> AsyncIterator[RunView]:
    """Yield the view now, whenever an event changed it, once a second while it runs, and at its end.

    Whoever stops listening stops nothing.
    """
    shown, shown_at = -1, 0.0
    while True:
        over = going.is_over  # asked before the version: what came before the end is never missed
        version = going.version
        if version != shown or time.monotonic() - shown_at >= TICK_S:
            shown, shown_at = version, time.monotonic()
            yield going.view
        if over:
            return
        await asyncio.sleep(LOOK_S)


def failure_of(reading: str, error: BaseException) -> Failed:
    """Return an error as the event that ends a run; a bug's traceback is kept in a file."""
    if isinstance(error, RunError | ToolError | KnowledgeError):
        return Failed(reading=reading, kind=type(error).__name__, message=str(error))
    path = keep_traceback(error)
    logger.error("a run of the page stopped with an unexpected %s; traceback in %s", type(error).__name__, path)
    message = f"Stopped by an unexpected {type(error).__name__}; the traceback is in {path}"
    return Failed(reading=reading, kind="bug", message=message)
