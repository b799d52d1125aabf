"""One call of a remote model: within its time limit, cancellable, and told apart from a lie."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.loopback import is_loopback
from tools.models.remote.wire import WireRequest, WireResponse, WireResult
from tools.models.runtimes.base import Progress

if TYPE_CHECKING:
    from tools.audit import AuditLog

_TICK_S = 0.2
MAX_ANSWER_BYTES = 1_000_000_000  # a hundred masks of a large CT, packed


class Transport(Protocol):
    """A way to a remote model."""

    @property
    def where(self) -> str:
        """The address, for messages."""
        ...

    def send(self, body: str, deadline: float, stopped: threading.Event) -> str | bytes:
        """Send a request and return the answer.

        Args:
            body: JSON.
            deadline: `time.monotonic()` at which to give up.
            stopped: set when nobody waits any more.

        Raises:
            UnavailableError: the server is gone, or answers with an error of transport.
        """
        ...


@dataclass(frozen=True)
class RemoteModel:
    """A remote model behind a transport."""

    name: str
    version: str
    transport: Transport
    timeout_s: float
    audit: AuditLog | None = None
    """Where each call to another machine is written down before it is made."""

    def call(self, request: WireRequest, progress: Progress) -> WireResult:
        """Send a request, wait, and return the checked result.

        Raises:
            UnavailableError: no answer in time, or one that is none.
            BadInputError: the model says so of its input.
            UnsupportedError: the model says so of the image.
        """
        body = request.model_dump_json()
        self._write_down(request.verb, body, with_image=request.image is not None)
        answer = self._answer(body, progress)
        return self._result(answer)

    def _write_down(self, verb: str, body: str, *, with_image: bool) -> None:
        where = self.transport.where
        if self.audit is not None and not is_loopback(where):
            self.audit.append(
                to=where,
                model=self.name,
                policy="remote model: pixels without header",
                purpose=verb,
                characters=len(body),
                sha256=hashlib.sha256(body.encode()).hexdigest(),
                images=int(with_image),
            )

    def refuse(self, reason: str) -> UnavailableError:
        """Return the error for an answer that must not be used."""
        return UnavailableError(
            f"model {self.name!r} at {self.transport.where} gave an answer that cannot be used: {reason}; it was "
            "discarded"
        )

    def _answer(self, body: str, progress: Progress) -> str | bytes:
        began = time.monotonic()
        job = _Job(lambda stopped: self.transport.send(body, began + self.timeout_s, stopped))
        thread = threading.Thread(target=job.run, name=f"remote {self.name}", daemon=True)
        thread.start()
        try:
            while not job.ended.wait(_TICK_S):
                waited_s = time.monotonic() - began
                progress(min(0.9, waited_s / self.timeout_s), f"waiting for {self.transport.where}, {waited_s:.0f} s")
                if waited_s > self.timeout_s + 2 * _TICK_S:  # the transport itself hangs
                    raise late(self.name, self.transport.where, self.timeout_s)
        finally:
            job.stopped.set()
        if job.error is not None:
            raise job.error
        return job.answer

    def _result(self, answer: str | bytes) -> WireResult:
        try:
            response = WireResponse.model_validate(json.loads(answer))
        except (ValueError, RecursionError) as error:
            raise self.refuse(_reason(error)) from error
        if response.error is not None:
            said = " ".join(response.error.message.split())[:500]
            kind = {"bad_input": BadInputError, "unsupported": UnsupportedError}.get(
                response.error.kind, UnavailableError
            )
            raise kind(f"model {self.name!r} at {self.transport.where}: {said}")
        if response.result is None:
            raise self.refuse("it holds neither result nor error")
        if response.version and response.version != self.version:
            raise self.refuse(f"it comes from version {response.version!r}, the card is of version {self.version!r}")
        return response.result


def late(name: str, where: str, timeout_s: float) -> UnavailableError:
    """Return the error of a model that did not answer in time."""
    return UnavailableError(
        f"model {name!r} at {where} did not answer within {timeout_s:g} s; see whether it still runs, or raise "
        "timeout_s in the card's [options]"
    )


@dataclass
class _Job:
    work: Callable[[threading.Event], str | bytes]
    ended: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    answer: str | bytes = ""
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer = self.work(self.stopped)
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            self.error = error
        finally:
            self.ended.set()


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return f"{where or 'answer'}: {problem['msg']}"
    return "it is no JSON"
