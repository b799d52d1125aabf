"""Runs work in a thread of its own and yields its events as they happen, stamped in the order in which they come."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from agent.events import AnyEvent, Emit


class InOrder:
    """Hands events on, one after the other, with time stamps that never go back.

    Several steps emit at once, and the wall clock may be set back while they do: the stamp is given here, where the
    order is.
    """

    def __init__(self, put: Emit) -> None:
        self._put = put
        self._lock = threading.Lock()
        self._last = 0.0

    def __call__(self, event: AnyEvent) -> None:
        """Stamp an event and hand it on."""
        with self._lock:
            self._last = max(self._last, time.time())
            self._put(event.model_copy(update={"at": self._last}))


def events_of(work: Callable[[Emit], None], cancelled: threading.Event, name: str) -> Iterator[AnyEvent]:
    """Yield the events of some work while it runs; an error of the work is raised after its last event.

    Args:
        work: gets what it emits with.
        cancelled: set when nobody listens any more.
        name: of the thread.
    """
    events: queue.SimpleQueue[AnyEvent | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work(InOrder(events.put))
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            events.put(error)
        finally:
            events.put(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        cancelled.set()
