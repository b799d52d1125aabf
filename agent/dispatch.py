"""Runs the steps of a plan: independent ones side by side, each with its time limit, each failure kept to itself.

A step's artifact is written when the step ends and is the proof that it ran: after a kill, steps whose artifact
exists are not run again. Steps run in daemon threads. At its time limit, or when a person cancels, a step is
interrupted at its next Python instruction. One that may sit in a single native call is isolated: it runs in a process
of its own (agent/isolation.py), which is killed.
"""

from __future__ import annotations

import platform
import queue
import time
import traceback
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from agent.conditions import unmet
from agent.context import RunContext
from agent.errors import LimitError
from agent.events import StepFailed, StepFinished, StepStarted
from agent.isolation import RemoteBugError
from agent.plan import Step, depends_on
from agent.running import Ended, RunningStep, require_asked_model
from agent.state import StepRecord, StepStatus
from tools.errors import CancelledError, NotFoundError, TimeLimitError, ToolError
from tools.preconditions import check_call
from tools.results import Mark, ToolResult
from tools.workspace import Artifact, Provenance

CANCEL_GRACE_S = 1.0  # a cancelled tool gets this long to stop by itself
_TICK_S = 0.1


class StepBugError(Exception):
    """A tool raised something that is no ToolError: our bug, or the plugin's. The cause carries the traceback."""


class Dispatcher:
    """Runs one plan. Make one per run.

    Args:
        run: what the run lends.
        reraise: raise a step's ToolError instead of recording it, for a single call without a plan.
    """

    def __init__(self, run: RunContext, *, reraise: bool = False) -> None:
        self._run = run
        self._reraise = reraise
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._running: dict[str, RunningStep] = {}
        self._results: dict[str, StepRecord] = {}
        self._bug: StepBugError | None = None

    def run_steps(
        self, steps: Iterable[Step], earlier: Mapping[str, StepRecord] | None = None
    ) -> dict[str, StepRecord]:
        """Run steps in the order of their references and return how each ended.

        Args:
            steps: the steps of a validated plan.
            earlier: how steps of this turn ended before; they are not run again.

        Raises:
            StepBugError: a tool raised something other than a ToolError. What else had started was let finish.
            CancelledError: a person cancelled the run; finished steps are kept.
            LimitError: the request took longer than the settings allow; finished steps are kept.
        """
        self._results = dict(earlier or {})
        waiting = [s for s in steps if s.id not in self._results]
        waiting = [s for s in waiting if not self._finished_before(s)]
        while waiting or self._running:
            if self._run.cancelled.is_set() or self._is_late():
                break
            waiting = self._start_ready(waiting)
            if not self._running:
                break
            self._collect()
        if self._run.cancelled.is_set():
            self._stop_all()
            raise CancelledError("the run was cancelled; what had finished is kept")
        if self._is_late() and (waiting or self._running):
            self._stop_all()
            limit, used = self._run.settings.max_seconds, time.monotonic() - self._run.started
            message = (
                f"the request ran past its limit of {limit:g} s (READINGROOM_MAX_SECONDS); what had finished is kept"
            )
            raise LimitError(message, limit=limit, used=used)
        for step in waiting:
            self._skip(step, f"it refers to {', '.join(sorted(depends_on(step)))}, which nothing makes")
        if self._bug:
            raise self._bug
        return self._results

    def _is_late(self) -> bool:
        return time.monotonic() - self._run.started > self._run.settings.max_seconds

    def _finished_before(self, step: Step) -> bool:
        """Take over a step that finished in a process that was killed later."""
        if not self._run.workspace.has_artifact(step.id):
            return False
        artifact = self._run.workspace.artifact(step.id)
        seconds = artifact.provenance.seconds
        self._results[step.id] = _record(step, "done", seconds, artifact.kind, artifact.summary)
        return True

    def _start_ready(self, waiting: list[Step]) -> list[Step]:
        left = []
        for step in waiting:
            needs = depends_on(step)
            broken = [n for n in needs if n in self._results and self._results[n]["status"] != "done"]
            open_needs = [n for n in needs if n not in self._results and not self._run.workspace.has_artifact(n)]
            if self._bug:
                self._skip(step, "the run was stopped by a bug in another step")
            elif broken:
                self._skip(step, f"it needs {', '.join(sorted(broken))}, which did not finish")
            elif open_needs:
                left.append(step)
            elif why_not := unmet(step, self._run.workspace):
                self._skip(step, why_not)
            else:
                self._start(step)
        return left

    def _start(self, step: Step) -> None:
        try:
            tool = self._run.registry.get(step.tool)
            args = tool.validate_args(step.args)
            hub = self._run.hub.narrowed(step.tool, step.model) if step.model else self._run.hub
            check_call(tool, args, self._run.workspace.every_facts(), hub)
        except ToolError as error:
            self._refuse(step, 0.0, error)
            return
        running = RunningStep(step, tool, args, hub)
        self._running[step.id] = running
        self._run.emit(StepStarted(step=step.id, tool=step.tool, args=step.args))
        self._run.record.append("step started", step=step.id, tool=step.tool, version=tool.version, args=args)
        running.start(self._run, self._ended)

    def _collect(self) -> None:
        """Wait a tick for a step to end, then look at the time limits."""
        try:
            ended = self._ended.get(timeout=_TICK_S)
        except queue.Empty:
            ended = None
        if ended and (running := self._running.pop(ended.step_id, None)):
            self._finish(running, ended)
        for running in list(self._running.values()):
            seconds = running.seconds
            if seconds > running.tool.timeout_s:
                running.interrupt()
                del self._running[running.step.id]
                limit = running.tool.timeout_s
                self._refuse(
                    running.step, seconds, TimeLimitError(f"{running.tool.name} ran past its limit of {limit:g} s")
                )

    def _finish(self, running: RunningStep, ended: Ended) -> None:
        seconds = running.seconds
        error = ended.error
        if isinstance(error, ToolError):
            self._refuse(running.step, seconds, error)
        elif error is not None:
            self._crash(running.step, seconds, error)
        elif ended.result is not None:
            try:
                require_asked_model(running.step, ended.result)
                artifact = self._store(running, ended.result, seconds)
            except ToolError as problem:
                self._refuse(running.step, seconds, problem)
                return
            self._succeed(running, ended.result, artifact, seconds)

    def _store(self, running: RunningStep, result: ToolResult, seconds: float) -> Artifact:
        inputs = tuple(i for _, i in running.tool.references(running.args))
        artifact = Artifact(
            id=running.step.id,
            kind=result.kind,
            summary=result.summary,
            data=result.model_dump(mode="json"),
            files=result.files,
            marks=tuple(dict.fromkeys((*result.marks, *self._inherited_marks(inputs)))),
            provenance=Provenance(
                tool=running.tool.name,
                tool_version=running.tool.version,
                params=running.args,
                inputs=inputs,
                model=result.model,
                seed=self._run.settings.seed,
                seconds=round(seconds, 3),
                software=software(),
            ),
        )
        self._run.workspace.add_artifact(artifact)
        return artifact

    def _inherited_marks(self, inputs: Iterable[str]) -> tuple[Mark, ...]:
        """Keep marks through every copy: what is made from something synthetic is synthetic."""
        return tuple(mark for i in inputs for mark in self._run.workspace.marks_of(i))

    def _succeed(self, running: RunningStep, result: ToolResult, artifact: Artifact, seconds: float) -> None:
        step, folder = running.step, self._run.workspace.step_folder(running.step.id)
        self._results[step.id] = _record(step, "done", seconds, artifact.kind, artifact.summary)
        self._run.record.append("step finished", artifact=artifact.model_dump(mode="json"))
        self._run.emit(
            StepFinished(
                step=step.id,
                tool=step.tool,
                seconds=seconds,
                summary=result.summary,
                kind=artifact.kind,
                files=tuple(str(folder / f) for f in result.files),
                figures=tuple(str(folder / f) for f in result.figures),
                marks=artifact.marks,
                data=artifact.data,
            )
        )

    def _refuse(self, step: Step, seconds: float, error: ToolError) -> None:
        """Keep that a step failed, and hand its error to a caller who waits for this one step."""
        self._fail(step, seconds, error)
        if self._reraise:
            raise error

    def _fail(self, step: Step, seconds: float, error: ToolError) -> None:
        self._results[step.id] = _record(step, "failed", seconds, error.kind, str(error), retry=error.retry)
        self._run.record.append("step failed", step=step.id, tool=step.tool, kind=error.kind, message=str(error))
        self._run.emit(StepFailed(step=step.id, tool=step.tool, seconds=seconds, kind=error.kind, message=str(error)))

    def _skip(self, step: Step, why: str) -> None:
        if self._reraise and not self._bug:
            raise NotFoundError(f"{step.tool}: {why}")
        self._results[step.id] = _record(step, "skipped", 0.0, "skipped", why)
        self._run.record.append("step skipped", step=step.id, tool=step.tool, message=why)
        self._run.emit(StepFailed(step=step.id, tool=step.tool, seconds=0.0, kind="skipped", message=why))

    def _crash(self, step: Step, seconds: float, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        self._run.record.append("bug", step=step.id, tool=step.tool, traceback=trace)
        where = self._run.record.path
        what = error.original if isinstance(error, RemoteBugError) else type(error).__name__
        message = f"{step.tool} stopped with an unexpected {what}; the traceback is in {where}"
        self._results[step.id] = _record(step, "failed", seconds, "bug", message)
        self._run.emit(StepFailed(step=step.id, tool=step.tool, seconds=seconds, kind="bug", message=message))
        self._bug = StepBugError(message)
        self._bug.__cause__ = error

    def _stop_all(self) -> None:
        """Give running tools a moment to stop and keep what finishes in it."""
        for running in self._running.values():
            running.ask_to_stop()
        deadline = time.monotonic() + CANCEL_GRACE_S
        while self._running and time.monotonic() < deadline:
            self._collect()
        for running in list(self._running.values()):
            running.interrupt()
            seconds = running.seconds
            self._fail(running.step, seconds, CancelledError(f"{running.tool.name} was cancelled"))
        self._running.clear()


def _record(
    step: Step, status: StepStatus, seconds: float, kind: str, message: str, *, retry: bool = False
) -> StepRecord:
    return StepRecord(
        tool=step.tool,
        status=status,
        seconds=round(seconds, 3),
        kind=kind,
        message=message,
        retry=retry,
    )


def software() -> str:
    """Return the versions that a result depends on."""
    try:
        own = version("readingroom")
    except PackageNotFoundError:
        own = "source"
    return f"readingroom {own}, Python {platform.python_version()}"
