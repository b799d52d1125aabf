"""One call of a model, tried again with less memory when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tools.errors import UnavailableError
from tools.models.card import ModelCard
from tools.models.memory import is_out_of_memory
from tools.models.pool import Pool

logger = logging.getLogger(f"readingroom.{__name__}")

MB = 1_000_000
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A device on which a model may run."""

    device: str
    pool: Pool
    load: Callable[[], Any]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a call gave, where, and what a reader must know of how it came about."""

    value: T
    device: str
    notes: tuple[str, ...]


@dataclass
class _Attempts(Generic[T]):
    card: ModelCard
    call: Callable[[Any], T]
    notes: list[str] = field(default_factory=list)

    def on(self, place: Place) -> Outcome[T] | None:
        """Load and call on one device, in ever smaller forms; None: its memory does not suffice."""
        needed_bytes = self.card.device_memory_mb * MB
        for _again in range(2):
            loaded = False
            try:
                with place.pool.lease(self.card.name, place.load, needed_bytes) as runtime:
                    loaded = True
                    return self._in_some_form(place, runtime)
            except Exception as error:
                if loaded or not is_out_of_memory(error):
                    raise
            if not place.pool.free():
                break
            self._say(f"the memory of {place.device} ran out while loading: other models were unloaded")
        return None

    def _in_some_form(self, place: Place, runtime: Any) -> Outcome[T] | None:
        form, saving = runtime, ""
        while form is not None:
            done, value = _tried(self.call, form)
            if done:
                if saving:
                    self._say(f"the memory of {place.device} ran out; computed again with {saving}")
                where = str(getattr(runtime, "device", "") or place.device)
                return Outcome(value, where, tuple(self.notes))  # type: ignore[arg-type]  # done: it is a value
            logger.info("model %s ran out of memory on %s", self.card.name, place.device)
            if place.pool.free():
                self._say(f"the memory of {place.device} ran out; other models were unloaded")
                continue
            form = form.smaller() if hasattr(form, "smaller") else None
            saving = str(getattr(form, "saving", "") or "smaller parts")
        return None

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def run_within_memory(card: ModelCard, places: Sequence[Place], call: Callable[[Any], T]) -> Outcome[T]:
    """Call a model on the first device whose memory suffices.

    Args:
        card: the model's.
        places: where it may run, best first.
        call: gets the runtime; may be called again.

    Raises:
        UnavailableError: memory ran out everywhere; says what to do.
    """
    attempts = _Attempts(card, call)
    for number, place in enumerate(places):
        if number:
            attempts.notes.append(f"the memory of {places[number - 1].device} did not suffice; run on the CPU instead")
        outcome = attempts.on(place)
        if outcome is not None:
            return outcome
    tried = " and ".join(place.device for place in places)
    only = "" if card.cpu_fallback or places[-1].device == "cpu" else ", and its card does not allow the CPU"
    raise UnavailableError(
        f"model {card.name!r} ran out of memory on {tried}{only}: use a smaller image or a part of it, end other "
        "programs, or use a machine with more memory"
    )


def _tried(call: Callable[[Any], T], form: Any) -> tuple[bool, T | None]:
    """Call once; (False, None) when memory ran out. The error goes here, with the tensors its traceback holds."""
    try:
        return True, call(form)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return False, None
