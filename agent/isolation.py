"""Runs tools in processes of their own, so that they can be stopped wherever they are and their memory comes back.

A thread that sits in one native call cannot be interrupted; a process can be killed. A tool says `isolated=True`, or a
model card `isolated = true`, when its work is of that kind. A worker process is started at the first such step, keeps
its models loaded for the next one, and is killed when a step is cancelled or runs past its limit. Results lie in the
workspace, as those of any tool. What crosses the border is JSON.
"""

from __future__ import annotations

import atexit
import json
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.contract import Tool
from tools.errors import (
    BadInputError,
    CancelledError,
    NotFoundError,
    SeriesChoiceError,
    TimeLimitError,
    ToolError,
    UnavailableError,
    UnsupportedError,
)
from tools.results import ToolResult

if TYPE_CHECKING:
    from agent.settings import Settings
    from tools.models.hub import Hub

MAX_IDLE = 2  # workers kept warm: a page with two readers, or two independent steps
_ERRORS: Mapping[str, type[ToolError]] = {
    e.kind: e
    for e in (BadInputError, NotFoundError, UnsupportedError, UnavailableError, CancelledError, TimeLimitError)
}
_COMMAND = (sys.executable, "-P", "-c", "from agent.worker import main; main()")


class RemoteBugError(Exception):
    """An isolated tool raised something that is no ToolError.

    Attributes:
        original: the name of what was raised.
    """

    def __init__(self, original: str, trace: str) -> None:
        super().__init__(trace)
        self.original = original


@dataclass(frozen=True)
class IsolatedCall:
    """One call of an isolated tool."""

    tool: Tool
    args: Mapping[str, Any]
    step: str
    model: str | None
    workspace: str
    device: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return what the worker reads."""
        function = self.tool.function
        return {
            "tool": f"{function.__module__}:{function.__qualname__}",
            "verb": self.tool.name,
            "args": dict(self.args),
            "step": self.step,
            "model": self.model,
            "workspace": self.workspace,
            "device": self.device,
            "seed": self.seed,
            "timeout_s": self.tool.timeout_s,
        }


class WorkerProcess:
    """One worker process; runs one call at a time.

    Args:
        lent: the models and where to import tools from.
    """

    def __init__(self, lent: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own module, no shell
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.pid = self._process.pid
        _alive.add(self)
        self._send({"lent": lent})

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def run(self, call: IsolatedCall, on_progress: Callable[[float, str], None]) -> ToolResult:
        """Run one call and return its result.

        Raises:
            ToolError: what the tool raised; CancelledError when the process was killed; UnavailableError when the
                system ended it for want of memory.
            RemoteBugError: the tool raised something else, or its process crashed.
        """
        self._send(call.to_json())
        for line in self._process.stdout or ():
            message = json.loads(line)
            if "progress" in message:
                on_progress(*message["progress"])
            elif "result" in message:
                return call.tool.result_type.model_validate(message["result"])
            elif "error" in message:
                raise _error_of(message["error"])
            elif "bug" in message:
                raise RemoteBugError(message["bug"]["type"], message["bug"]["traceback"])
        raise self._ended(call.tool.name)

    def cancel(self) -> None:
        """Ask the tool to stop where it looks at its progress; the worker stays."""
        self._send({"cancel": True})

    def kill(self) -> None:
        """End the process at once, wherever it is; its memory is free when this returns."""
        self._process.kill()
        self._process.wait()
        _alive.discard(self)

    def close(self) -> None:
        """End an idle process."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        with suppress(BrokenPipeError, ValueError):  # it has ended: reading its answer says so
            if stdin is not None:
                stdin.write(json.dumps(message) + "\n")
                stdin.flush()

    def _ended(self, tool: str) -> Exception:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return UnavailableError(
                f"{tool}: its process was ended by the system, most likely for want of memory; close other programs, "
                "or work on a smaller image"
            )
        return RemoteBugError("end of its process", f"{tool}: its process ended by itself with code {code}")


_alive: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class Workers:
    """The worker processes of one assistant: started when needed, kept warm, replaced when killed.

    Args:
        settings: device, its memory, and where weights are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[WorkerProcess] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)  # with the assistant, or when Python ends

    @contextmanager
    def lend(self, hub: Hub, device: str) -> Iterator[WorkerProcess]:
        """Lend a worker for one call; one that was killed meanwhile is not taken back."""
        worker = self._take() or WorkerProcess(self._lent(hub, device))
        try:
            yield worker
        finally:
            self._give_back(worker)

    def _take(self) -> WorkerProcess | None:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:
                    return worker
                worker.close()
        return None

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._lock:
            if worker.is_alive and len(self._idle) < MAX_IDLE:
                self._idle.append(worker)
                return
        worker.close()

    def _lent(self, hub: Hub, device: str) -> dict[str, Any]:
        return {
            "path": [p for p in sys.path if p],
            "cards": [card.model_dump(mode="json") for card in hub.cards],
            "device": device,
            "device_memory_mb": self._settings.device_memory_mb,
            "remote_models": self._settings.remote_models,
            "audit": str(self._settings.audit_path),
            "weights_dir": str(self._settings.weights_dir),
            "cache_dir": str(self._settings.cache_dir),
        }


def _error_of(told: Mapping[str, Any]) -> ToolError:
    if told["choices"]:
        return SeriesChoiceError(told["message"], told["choices"])
    return _ERRORS.get(told["kind"], UnsupportedError)(told["message"])


def _close_all(workers: list[WorkerProcess]) -> None:
    while workers:
        workers.pop().close()


@atexit.register
def stop_workers() -> None:
    """End every worker that still runs a step when this process ends."""
    for worker in list(_alive):
        worker.kill()
