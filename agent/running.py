"""One step while it runs: in a thread of this process, or isolated in a process of its own, and how it is stopped."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.costing import cards_for
from agent.events import Progress
from agent.isolation import IsolatedCall, WorkerProcess
from agent.llm.hearing import Words, heard
from agent.llm.lent import LentLLM
from knowledge.errors import KnowledgeError
from tools.audit import AuditLog
from tools.contract import Tool, ToolContext
from tools.errors import (
    BadInputError,
    CancelledError,
    NotFoundError,
    ToolError,
    UnavailableError,
    UnsupportedError,
)
from tools.pacs.audited import AuditedPacs
from tools.pacs.client import open_pacs
from tools.results import ToolResult

if TYPE_CHECKING:
    from agent.context import RunContext
    from agent.plan import Step
    from tools.models.hub import Hub

_SAME_KIND: dict[str, type[ToolError]] = {
    "bad_input": BadInputError,
    "not_found": NotFoundError,
    "unsupported": UnsupportedError,
    "unavailable": UnavailableError,
    "cancelled": CancelledError,
}


@dataclass(frozen=True)
class Ended:
    """How a step's work ended: one of result and error."""

    step_id: str
    result: ToolResult | None
    error: BaseException | None


@dataclass
class RunningStep:
    """A step that has started."""

    step: Step
    tool: Tool
    args: dict[str, object]
    hub: Hub
    """Narrowed to the model that the step names."""
    started: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    worker: WorkerProcess | None = None
    """The process that an isolated step runs in."""

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def start(self, run: RunContext, ended: queue.SimpleQueue[Ended]) -> None:
        """Begin the work in a thread; how it ends is put into the queue."""
        context = contextvars.copy_context()
        self.thread = threading.Thread(
            target=context.run, args=(self._work, run, ended), name=f"step-{self.step.id}", daemon=True
        )
        self.thread.start()

    def ask_to_stop(self) -> None:
        """Let the tool stop where it looks at its progress."""
        self.stop.set()
        if self.worker:
            self.worker.cancel()

    def interrupt(self) -> None:
        """Kill the step's process, or raise CancelledError in its thread in case it does not ask back."""
        self.stop.set()
        if self.worker:
            self.worker.kill()
        elif self.thread and self.thread.ident and self.thread.is_alive():
            ident = ctypes.c_ulong(self.thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(CancelledError))

    def _work(self, run: RunContext, ended: queue.SimpleQueue[Ended]) -> None:
        with contextlib.suppress(CancelledError):  # an interruption that comes when the tool is done
            try:
                result = self._isolated(run) if self._is_isolated(run) else self._here(run)
            except BaseException as error:  # noqa: BLE001  carried to the run's own thread, sorted there
                ended.put(Ended(self.step.id, None, translated(error)))
            else:
                ended.put(Ended(self.step.id, result, None))

    def _here(self, run: RunContext) -> ToolResult:
        ctx = ToolContext(
            workspace=run.workspace,
            step_id=self.step.id,
            hub=self.hub,
            open_knowledge=run.open_knowledge,
            open_llm=lambda: LentLLM(run.open_llm),
            open_pacs=lambda name: AuditedPacs(open_pacs(run.settings.pacs, name), AuditLog(run.settings.audit_path)),
            site_key=key.get_secret_value().encode() if (key := run.settings.deidentify_key) else b"",
            earlier_readings=lambda: _earlier_readings(run),
            device=run.device,
            seed=run.settings.seed,
            on_progress=lambda fraction, message: self._on_progress(run, fraction, message),
            is_cancelled=lambda: self.stop.is_set() or run.cancelled.is_set(),
        )
        with heard(Words(run.emit, self.step.id)):
            return self.tool(ctx, **self.args)

    def _isolated(self, run: RunContext) -> ToolResult:
        call = IsolatedCall(
            tool=self.tool,
            args=self.args,
            step=self.step.id,
            model=self.step.model,
            workspace=str(run.workspace.root),
            device=run.device,
            seed=run.settings.seed,
        )
        with run.workers.lend(run.hub, run.device) as worker:
            self.worker = worker
            if self.stop.is_set():
                raise CancelledError(f"step {self.step.id} was cancelled")
            return worker.run(call, lambda fraction, message: self._on_progress(run, fraction, message))

    def _on_progress(self, run: RunContext, fraction: float, message: str) -> None:
        run.emit(Progress(step=self.step.id, fraction=fraction, message=message))

    def _is_isolated(self, run: RunContext) -> bool:
        if self.tool.isolated:
            return True
        return any(card.isolated for card in cards_for(self.step, self.hub, run.workspace.every_facts()))


def require_asked_model(step: Step, result: ToolResult) -> None:
    """Refuse a result that another model made than the one a person named for the step.

    Raises:
        UnsupportedError: names both.
    """
    made_by = result.model.card if result.model else "no model"
    if step.model and made_by != step.model:
        raise UnsupportedError(
            f"{step.tool} did not work with the model {step.model!r} that the plan names, but with {made_by}; its "
            "result is not used: leave the model to the hub"
        )


OWNER_FILE = "owner"
"""In a reading's folder; holds a hash, so that reading the folder gives nobody the cookie."""


def translated(error: BaseException) -> BaseException:
    """Return errors of the report store in the tools' words: what is missing is no bug."""
    if isinstance(error, KnowledgeError):
        return _SAME_KIND[error.kind](str(error))
    return error


def owner_of(reading: Path) -> str:
    """Return whose a reading is, as the hash that the page left in its folder; empty where nobody owns it."""
    try:
        return (reading / OWNER_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _earlier_readings(run: RunContext) -> list[Path]:
    """Return the folders of the other readings of the same owner, newest first."""
    if not run.settings.priors_from_readings:
        return []
    root = run.workspace.root
    folders = [f.parent for f in root.parent.glob("*/record.jsonl") if f.parent != root]
    kept = [f for f in folders if owner_of(f) == owner_of(root)]
    return sorted(kept, key=lambda folder: (folder.stat().st_mtime, folder.name), reverse=True)
