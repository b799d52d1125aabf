"""The process in which an isolated tool runs: reads calls, one JSON object a line, and answers the same way.

It is started by agent/isolation.py, keeps its models loaded between calls, and ends when its parent does. Whatever a
library prints on stdout goes to stderr, so that it cannot mix with the answers.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from knowledge.errors import KnowledgeError
from tools.audit import AuditLog
from tools.contract import Tool, ToolContext
from tools.errors import SeriesChoiceError, ToolError

if TYPE_CHECKING:
    from tools.models.hub import Hub
    from tools.workspace import Workspace

IDLE_S = 600.0  # nobody asked for so long: give the memory of the models back
WATCHDOG_S = 10.0  # beyond a call's limit the parent must be gone: end then, even inside native code


class Worker:
    """Runs calls one after the other.

    Args:
        lines: where calls come from.
        answers: where answers go.
    """

    def __init__(self, lines: TextIO, answers: TextIO) -> None:
        self._lines = lines
        self._answers = answers
        self._calls: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._writing = threading.Lock()
        self._hub: Hub | None = None
        self._workspace: Workspace | None = None

    def serve(self) -> None:
        """Answer calls until nobody asks any more."""
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        while True:
            try:
                call = self._calls.get(timeout=IDLE_S)
            except queue.Empty:
                return
            self._say(started=True)
            self._say(**self._answer(call))

    def _listen(self) -> None:
        for line in self._lines:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled.set()
            elif "lent" in message:
                self._hub = _hub_of(message["lent"])
            else:
                self._cancelled.clear()
                self._calls.put(message)
        os._exit(0)  # the parent is gone; the main thread may be inside a call that does not return

    def _answer(self, call: Mapping[str, Any]) -> dict[str, Any]:
        watchdog = float(call["timeout_s"]) + WATCHDOG_S
        with Path(os.devnull).open("w") as nowhere:
            faulthandler.dump_traceback_later(watchdog, exit=True, file=nowhere)
            try:
                tool = tool_at(call["tool"])
                result = tool(self._context(call), **call["args"])
            except (ToolError, KnowledgeError) as error:
                choices = list(error.choices) if isinstance(error, SeriesChoiceError) else []
                return {"error": {"kind": error.kind, "message": str(error), "choices": choices}}
            except Exception as error:  # noqa: BLE001  a bug; the parent keeps its traceback
                return {"bug": {"type": type(error).__name__, "traceback": traceback.format_exc()}}
            finally:
                faulthandler.cancel_dump_traceback_later()
        return {"result": result.model_dump(mode="json")}

    def _context(self, call: Mapping[str, Any]) -> ToolContext:
        from tools.workspace import Workspace

        if self._hub is None:
            raise RuntimeError("the worker was lent no models before its first call")
        root = Path(call["workspace"])
        if self._workspace is None or self._workspace.root != root:
            self._workspace = Workspace(root)
        return ToolContext(
            workspace=self._workspace,
            step_id=call["step"],
            hub=self._hub.narrowed(call["verb"], call["model"]),
            open_knowledge=_not_lent,
            open_llm=_not_lent,
            device=call["device"],
            seed=call["seed"],
            on_progress=lambda fraction, message: self._say(progress=[fraction, message]),
            is_cancelled=self._cancelled.is_set,
        )

    def _say(self, **message: Any) -> None:
        line = json.dumps(message)
        with self._writing:
            self._answers.write(line + "\n")
            self._answers.flush()


def tool_at(where: str) -> Tool:
    """Return the tool at "module:name"."""
    module, _, name = where.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, Tool):
        raise TypeError(f"{where} is {type(found).__name__}, expected a function decorated with @tool")
    return found


def _hub_of(lent: Mapping[str, Any]) -> Hub:
    from knowledge.assets import Assets
    from tools.models.card import ModelCard
    from tools.models.hub import Hub

    sys.path.extend(p for p in lent["path"] if p not in sys.path)
    hub = Hub(
        [ModelCard.model_validate(card) for card in lent["cards"]],
        device=lent["device"],
        device_memory_mb=lent["device_memory_mb"],
        remote_models=lent["remote_models"],
        weights_dir=Path(lent["weights_dir"]),
        assets=Assets(Path(lent["cache_dir"])),
    )
    hub.audit = AuditLog(Path(lent["audit"]))
    return hub


def _not_lent() -> NoReturn:
    raise RuntimeError("an isolated tool is lent images and models, but no report store and no language model")


def main() -> None:
    """Serve on stdin and stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which tells us
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Worker(sys.stdin, answers).serve()


if __name__ == "__main__":
    main()
