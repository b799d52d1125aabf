"""A run beside the event loop: the work has its own thread, the page gets a new view when something changed."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.errors import RunError
from agent.events import Failed
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.failures import keep_traceback
from ui.view import RunView, fold

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.events import AnyEvent

logger = logging.getLogger(f"readingroom.{__name__}")

LOOK_S = 0.1  # how often events are looked for
TICK_S = 1.0  # how often the clocks on the page move while no event comes

Start = Callable[[Callable[["AnyEvent"], None]], "Answer"]


async def views(view: RunView, start: Start) -> AsyncIterator[RunView]:
    """Run in a thread and yield the view whenever an event changed it, and once a second while it runs.

    Args:
        view: what is known before it starts.
        start: runs to the end, calls what it is given with each event, and returns the answer.
    """
    events: queue.SimpleQueue[AnyEvent | Answer | BaseException] = queue.SimpleQueue()
    thread = threading.Thread(target=_work, args=(start, events), name="page-run", daemon=True)
    thread.start()
    shown_at = 0.0
    while True:
        alive = thread.is_alive()  # asked before the queue is emptied: what came before the end is never missed
        before = view
        while not events.empty():
            view = _taken(view, events.get())
        if view is not before or time.monotonic() - shown_at >= TICK_S:
            shown_at = time.monotonic()
            yield view
        if not alive:
            return
        await asyncio.sleep(LOOK_S)


def _work(start: Start, events: queue.SimpleQueue[AnyEvent | Answer | BaseException]) -> None:
    try:
        events.put(start(events.put))
    except BaseException as error:  # noqa: BLE001  shown on the page by the thread that waits
        events.put(error)


def _taken(view: RunView, item: AnyEvent | Answer | BaseException) -> RunView:
    from agent.answer import Answer

    if isinstance(item, Answer):
        return replace(view, answer=item, reading=item.reading)
    if isinstance(item, BaseException):
        return view if view.failed is not None else fold(view, _failed(view.reading, item))
    return fold(view, item)


def _failed(reading: str, error: BaseException) -> Failed:
    if isinstance(error, RunError | ToolError | KnowledgeError):
        return Failed(reading=reading, kind=type(error).__name__, message=str(error))
    path = keep_traceback(error)
    logger.error("a run of the page stopped with an unexpected %s; traceback in %s", type(error).__name__, path)
    message = f"Stopped by an unexpected {type(error).__name__}; the traceback is in {path}"
    return Failed(reading=reading, kind="bug", message=message)
