"""Loaded models on one device: loaded once, shared, evicted least recently used first, never while in use."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tools.models.memory import MemoryMeter

logger = logging.getLogger(f"readingroom.{__name__}")

PATIENCE_S = 120.0  # a large model's run on a GPU takes less; then it is tried all the same
_TICK_S = 0.1  # how often a waiting thread looks whether it was told to stop


@dataclass
class _Loaded:
    runtime: Any
    size_bytes: int
    """Measured when it was loaded."""
    needed_bytes: int
    """At its peak, weights included, as its card says."""
    users: int = 0
    last_used: int = 0

    @property
    def reserved_bytes(self) -> int:
        """What it takes, and what its runs under way may still ask for."""
        return self.size_bytes + self.users * max(0, self.needed_bytes - self.size_bytes)


class Pool:
    """The loaded models of one device.

    Args:
        meter: measures the device.
        budget_bytes: what all models together may take; None: what the meter says at first use.
        patience_s: how long a thread waits for models that others use; then it goes on, and memory may run out.
    """

    def __init__(self, meter: MemoryMeter, budget_bytes: int | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.meter = meter
        self._budget_bytes = budget_bytes
        self._patience_s = patience_s
        self._loaded: dict[str, _Loaded] = {}
        self._loading: str = ""
        self._clock = 0
        self._holders: Counter[int] = Counter()
        self._changed = threading.Condition()

    @property
    def budget_bytes(self) -> int:
        """What all models together may take."""
        if self._budget_bytes is None:
            self._budget_bytes = self.meter.budget_bytes()
        return self._budget_bytes

    @property
    def sizes(self) -> Mapping[str, int]:
        """Measured bytes of every loaded model, least recently used first."""
        with self._changed:
            ordered = sorted(self._loaded.items(), key=lambda item: item[1].last_used)
            return {name: entry.size_bytes for name, entry in ordered}

    @contextmanager
    def lease(self, name: str, load: Callable[[], Any], needed_bytes: int = 0) -> Iterator[Any]:
        """Lend a model, loaded if need be; it is not evicted before the end of the block.

        Args:
            name: of the model; one name, one model.
            load: loads it; called by one thread at a time.
            needed_bytes: what it takes at its peak, as far as its card knows.
        """
        me = threading.get_ident()
        entry = self._acquire(name, load, needed_bytes, waits=not self._holders.get(me))
        with self._changed:
            self._holders[me] += 1
        try:
            yield entry.runtime
        finally:
            with self._changed:
                entry.users -= 1
                self._holders[me] -= 1
                self._holders += Counter()  # forgets threads that hold nothing
                self._changed.notify_all()

    def free(self) -> int:
        """Evict every model that is not in use, give the memory back, and return how many went."""
        with self._changed:
            idle = [name for name, entry in self._loaded.items() if not entry.users]
            gone = [self._loaded.pop(name) for name in idle]
        for entry in gone:
            _close(entry.runtime)
        count = len(gone)
        gone.clear()
        self.meter.release()
        return count

    def _acquire(self, name: str, load: Callable[[], Any], needed_bytes: int, *, waits: bool) -> _Loaded:
        give_up = time.monotonic() + (self._patience_s if waits else 0.0)
        with self._changed:
            while True:
                entry = self._loaded.get(name)
                free_to_go = entry is not None or not self._loading
                late = time.monotonic() >= give_up
                if free_to_go and (self._has_room(needed_bytes, entry) or late):
                    break
                self._changed.wait(_TICK_S)
            if entry is not None:
                return self._taken(entry)
            self._loading = name
        try:
            entry = self._load(load, needed_bytes)
        finally:
            with self._changed:
                if entry is not None:
                    self._loaded[name] = self._taken(entry)
                self._loading = ""
                self._changed.notify_all()
        with self._changed:
            self._has_room(0, entry)  # its true size is known now: what was too much goes at once
        return entry

    def _taken(self, entry: _Loaded) -> _Loaded:
        self._clock += 1
        entry.users, entry.last_used = entry.users + 1, self._clock
        return entry

    def _load(self, load: Callable[[], Any], needed_bytes: int) -> _Loaded:
        before = self.meter.now_bytes()
        runtime = load()
        size = self.meter.size_bytes(runtime, self.meter.now_bytes() - before)
        return _Loaded(runtime, size, max(needed_bytes, size))

    def _has_room(self, needed_bytes: int, mine: _Loaded | None) -> bool:
        """Evict what is idle until a run fits; False when only models in use could make the room."""
        more = max(0, needed_bytes - (mine.size_bytes if mine else 0))
        while True:
            reserved = [entry.reserved_bytes for entry in self._loaded.values()]
            if self.meter.used_bytes(reserved) + more <= self.budget_bytes:
                return True
            idle = [name for name, entry in self._loaded.items() if not entry.users and entry is not mine]
            if not idle:
                return not any(entry.users for entry in self._loaded.values())
            name = min(idle, key=lambda n: self._loaded[n].last_used)
            logger.info("model %s is unloaded: its memory is needed", name)
            _close(self._loaded.pop(name).runtime)
            self.meter.release()


def _close(runtime: Any) -> None:
    """Let a runtime end what memory alone does not free, such as a process."""
    close = getattr(runtime, "close", None)
    if callable(close):
        close()
