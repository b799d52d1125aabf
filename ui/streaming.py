"""Runs beside the event loop: each has its own thread and goes on whether or not a page looks at it.

A page that was closed, reloaded or opened twice finds the run by its reading and sees it as far as it is.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
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
KEPT = 100  # runs that ended, for tabs that have not seen the end yet

Start = Callable[[Callable[["AnyEvent"], None]], "Answer"]


class GoingRun:
    """One run as far as it is; its thread writes, any number of pages read.

    Args:
        view: what is known before it starts; names its reading.
        start: runs to the end, calls what it is given with each event, and returns the answer.
        turns_before: how many turns of the reading came before it.
    """

    def __init__(self, view: RunView, start: Start, turns_before: int = 0) -> None:
        self.id = secrets.token_hex(4)
        self.turns_before = turns_before
        self.version = 0
        self.is_over = False
        self.lookers: set[str] = set()
        """Browser tabs that show it now."""
        self._lock = threading.Lock()
        self._view = view
        self._start = start

    @property
    def view(self) -> RunView:
        """What is known now."""
        return self._view

    def take(self, event: AnyEvent) -> None:
        """Take an event in."""
        self._change(lambda view: fold(view, event))

    def place(self, before: int) -> None:
        """Say how many runs come before it; 0: it begins."""
        self._change(lambda view: replace(view, before=before))

    def work(self) -> None:
        """Run to the end; every error becomes part of what is shown."""
        try:
            answer = self._start(self.take)
        except BaseException as error:  # noqa: BLE001  shown on the page
            if self._view.failed is None:
                self.take(failure_of(self._view.reading, error))
        else:
            self._change(lambda view: replace(view, answer=answer, reading=answer.reading))
        self.is_over = True

    def _change(self, change: Callable[[RunView], RunView]) -> None:
        with self._lock:
            self._view = change(self._view)
            self.version += 1


class GoingRuns:
    """The runs of this server, at most some at a time; the rest waits in line in the order in which it came.

    Args:
        at_once: how many may work at the same time.
    """

    def __init__(self, at_once: int = CONCURRENT_RUNS) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._going: dict[str, GoingRun] = {}
        self._recent: OrderedDict[str, GoingRun] = OrderedDict()
        self._line: list[GoingRun] = []
        self._working = 0

    def start(self, run: GoingRun) -> None:
        """Begin a run, or put it in line.

        Raises:
            ReadingError: the reading is running already, in this tab or another.
        """
        with self._lock:
            if run.view.reading in self._going:
                raise ReadingError("This reading is running already, started in another tab. Both tabs show it.")
            self._going[run.view.reading] = self._recent[run.id] = run
            while len(self._recent) > KEPT:
                self._recent.popitem(last=False)
            self._line.append(run)
        self._begin_next()

    def going(self, reading: str) -> GoingRun | None:
        """Return the run of a reading that has not ended, or None."""
        with self._lock:
            return self._going.get(reading)

    def recent(self, run_id: str) -> GoingRun | None:
        """Return a run by its id, also when it has ended not long ago."""
        with self._lock:
            return self._recent.get(run_id)

    def leave_line(self, reading: str) -> bool:
        """Take a run that has not begun out of the line; False where it has begun, or there is none."""
        with self._lock:
            run = next((r for r in self._line if r.view.reading == reading), None)
            if run is None:
                return False
            self._line.remove(run)
            self._going.pop(reading)
        run.take(Failed(reading=reading, kind="cancelled", message="stopped before it began"))
        run.is_over = True
        self._tell_places()
        return True

    def _begin_next(self) -> None:
        with self._lock:
            ready = self._line[: max(0, self._at_once - self._working)]
            del self._line[: len(ready)]
            self._working += len(ready)
        for run in ready:
            run.place(0)
            threading.Thread(target=self._work, args=(run,), name="page-run", daemon=True).start()
        self._tell_places()

    def _work(self, run: GoingRun) -> None:
        reading = run.view.reading
        try:
            run.work()
        finally:
            with self._lock:
                self._working -= 1
                self._going.pop(reading, None)
            self._begin_next()

    def _tell_places(self) -> None:
        with self._lock:
            waiting = list(enumerate(self._line, 1))
        for place, run in waiting:
            run.place(place)


async def views(run: GoingRun) -> AsyncGenerator[RunView]:
    """Yield the view now, whenever an event changed it, once a second while it runs, and at its end.

    Whoever stops listening stops nothing.
    """
    shown, shown_at = -1, 0.0
    while True:
        over = run.is_over  # asked before the version: what came before the end is never missed
        version = run.version
        if version != shown or time.monotonic() - shown_at >= TICK_S:
            shown, shown_at = version, time.monotonic()
            yield run.view
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
