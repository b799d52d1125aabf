"""The programmatic door: ask, stream, resume, cancel.

    from readingroom import Assistant
    answer = Assistant().ask("Segment the lungs and measure their volume.", ["ct.nii.gz"])
    print(answer.text)

Making an assistant is cheap; models, stores and the language model open at first use and are shared by its readings.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from agent.answer import Answer, answer_of, is_waiting
from agent.attach import Attach, attach
from agent.collaborators import Collaborators
from agent.context import RunContext
from agent.errors import AttachmentError, ReadingError
from agent.events import Answered, AnyEvent, Attached, Emit, Failed
from agent.pausing import keep_policy, policy_of
from agent.plan import Plan
from agent.pointing import Pointed
from agent.record import RunRecord
from agent.run import Turn, run_turn
from agent.settings import ApprovalPolicy
from agent.streaming import events_of
from tools.workspace import Artifact, Workspace

Decision = Literal["approve", "reject", "edit"]
Attachable = Attach | Path | str


class Assistant(Collaborators):
    """Plans requests over attached studies, runs tools, and answers with evidence.

    Args:
        settings: every setting; None reads the environment and `readingroom.toml`.
        registry: the tools; None takes every installed one.
        hub: the models; None takes every installed card.
        llm: the language model; None follows the settings (an endpoint, or the embedded default).
        embedder: sentence embedding for planner and report store; None takes the cached MiniLM.
        knowledge: the report store; None opens the one in the settings' data folder.
        planner: turns requests into plans; None makes one from the above.
    """

    # --- asking

    def ask(
        self,
        request: str,
        attachments: Sequence[Attachable] = (),
        *,
        reading: str | None = None,
        pointed: Sequence[Pointed] = (),
        on_event: Callable[[AnyEvent], None] | None = None,
    ) -> Answer:
        """Answer a request; with `reading`, as a follow-up in that reading.

        Args:
            request: what to do.
            attachments: what to do it with.
            reading: an earlier reading that the request belongs to.
            pointed: points or a box that a person placed in images: the prompt of what is to be segmented there.
            on_event: called with each event.

        Raises:
            AttachmentError: a file cannot be used.
            RunError: the run could not be done; what was computed stays in the reading.
        """
        return self._drain(self.stream(request, attachments, reading=reading, pointed=pointed), on_event)

    def stream(
        self,
        request: str,
        attachments: Sequence[Attachable] = (),
        *,
        reading: str | None = None,
        pointed: Sequence[Pointed] = (),
    ) -> Iterator[AnyEvent]:
        """Yield events as they happen; the last is `Answered`, or `Failed` before the error is raised.

        Closing the iterator cancels the run; what had finished is kept.
        """
        if reading is not None:
            self._must_exist(reading)
        reading_id = reading or new_reading_id()
        return self.run(reading_id, Turn(request=request, pointed=tuple(pointed)), attachments)

    async def aask(
        self,
        request: str,
        attachments: Sequence[Attachable] = (),
        *,
        reading: str | None = None,
        on_event: Callable[[AnyEvent], None] | None = None,
    ) -> Answer:
        """Do what `ask` does without holding the event loop."""
        return await asyncio.to_thread(self.ask, request, attachments, reading=reading, on_event=on_event)

    async def astream(
        self, request: str, attachments: Sequence[Attachable] = (), *, reading: str | None = None
    ) -> AsyncIterator[AnyEvent]:
        """Do what `stream` does without holding the event loop."""
        events = self.stream(request, attachments, reading=reading)
        try:
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield event
        finally:
            await asyncio.to_thread(events.close)  # type: ignore[attr-defined]  # a generator

    def resume(
        self,
        reading: str,
        *,
        decision: Decision = "approve",
        comment: str | None = None,
        plan: Plan | None = None,
        on_event: Callable[[AnyEvent], None] | None = None,
    ) -> Answer:
        """Go on with a reading that waits for approval or whose process was killed; finished steps are not run again.

        Args:
            reading: the reading's id.
            decision: for a plan that waits: approve it, reject it (a comment plans again), or edit it.
            comment: what should be different.
            plan: with "edit", the plan to run instead.
            on_event: called with each event.
        """
        stream = self.resume_stream(reading, decision=decision, comment=comment, plan=plan)
        return self._drain(stream, on_event)

    def resume_stream(
        self, reading: str, *, decision: Decision = "approve", comment: str | None = None, plan: Plan | None = None
    ) -> Iterator[AnyEvent]:
        """Do what `resume` does, as a stream of events."""
        self._must_exist(reading)
        if decision == "edit" and plan is None:
            raise ReadingError("decision 'edit' needs the plan to run instead")
        answer = {"decision": decision, "comment": comment, "plan": plan.model_dump(mode="json") if plan else None}
        return self.run(reading, Turn(decision=answer))

    def cancel(self, reading: str) -> None:
        """Stop a running reading; what has finished is kept."""
        if event := self._cancels.get(reading):
            event.set()

    def run_tool(self, name: str, args: Mapping[str, Any], attachments: Sequence[Attachable] = ()) -> Artifact:
        """Run one tool on attachments, without planner or language model.

        Raises:
            ToolError: the tool refused; says why.
        """
        from agent.run import run_one_tool

        reading_id = new_reading_id()
        workspace = self._open(reading_id)
        for item in attachments:
            attach(workspace, item)
        return run_one_tool(self.context(reading_id), name, args)

    # --- readings

    def begin(self, reading: str | None = None, *, approval: ApprovalPolicy | None = None) -> str:
        """Make an empty reading and return its id, for callers that show or cancel it before its first event.

        Args:
            reading: an id of the caller's own; a reading of that id that exists already is kept.
            approval: when a plan of this reading waits for a person; None: as it was, or as the settings say.
        """
        reading_id = reading or new_reading_id()
        self._open(reading_id)
        if approval is not None:
            keep_policy(self.record(reading_id), approval)
        return reading_id

    def readings(self) -> list[str]:
        """Return the ids of all readings, oldest first."""
        folders = sorted(self.settings.readings_dir.glob("*/record.jsonl"))
        return [f.parent.name for f in folders]

    def workspace(self, reading: str) -> Workspace:
        """Return a reading's workspace."""
        self._must_exist(reading)
        return self._open(reading)

    def answer(self, reading: str) -> Answer:
        """Return the last answer of a reading."""
        self._must_exist(reading)
        return answer_of(reading, self._open(reading), self.record(reading))

    def is_waiting(self, reading: str) -> bool:
        """Return whether a reading's plan waits for a person's decision."""
        self._must_exist(reading)
        return is_waiting(self.record(reading))

    # --- running

    def run(self, reading_id: str, turn: Turn, attachments: Sequence[Attachable] = ()) -> Iterator[AnyEvent]:
        """Yield the events of one turn; what `stream` and `resume_stream` are made of."""
        cancelled = self._cancels[reading_id] = threading.Event()

        def work(emit: Emit) -> None:
            self._attach(reading_id, attachments, emit)
            run_turn(self.context(reading_id, emit, cancelled), turn)

        return events_of(work, cancelled, f"reading-{reading_id}")

    # --- inside

    def _attach(self, reading_id: str, items: Sequence[Attachable], emit: Emit) -> None:
        workspace = self._open(reading_id)
        is_new = not workspace.attachments() and all(e["event"] != "turn" for e in self.record(reading_id).lines())
        try:
            for item in items:
                taken = attach(workspace, item)
                self.record(reading_id).append("attached", id=taken.id)  # not its name: that may be the patient's
                emit(Attached(facts=taken.facts, name=taken.file))
        except AttachmentError as error:
            emit(Failed(reading=reading_id, kind="attachment", message=str(error)))
            if is_new:  # an empty reading would only be litter
                self._workspaces.pop(reading_id)
                shutil.rmtree(workspace.root, ignore_errors=True)
            raise

    def _drain(self, stream: Iterator[AnyEvent], on_event: Callable[[AnyEvent], None] | None) -> Answer:
        reading = ""
        for event in stream:
            if on_event:
                on_event(event)
            if isinstance(event, Answered | Failed):
                reading = event.reading
        return self.answer(reading)

    def context(
        self,
        reading_id: str,
        emit: Callable[[AnyEvent], None] = lambda event: None,
        cancelled: threading.Event | None = None,
    ) -> RunContext:
        """Return what a run in a reading is lent."""
        return RunContext(
            reading=reading_id,
            settings=self.settings,
            workspace=self._open(reading_id),
            registry=self.registry,
            hub=self.hub,
            record=self.record(reading_id),
            emit=emit,
            open_planner=self.open_planner,
            open_knowledge=self.open_knowledge,
            open_llm=self.open_llm,
            checkpoints=self._checkpoints,
            workers=self._workers,
            approval=policy_of(self.record(reading_id), self.settings.approval),
            device=self.device,
            cancelled=cancelled or threading.Event(),
        )

    def _open(self, reading_id: str) -> Workspace:
        with self._opening:
            if reading_id not in self._workspaces:
                self._workspaces[reading_id] = Workspace(self._folder(reading_id))
            return self._workspaces[reading_id]

    def record(self, reading_id: str) -> RunRecord:
        """Return the run record of a reading."""
        return RunRecord(self._folder(reading_id) / "record.jsonl")

    def _folder(self, reading_id: str) -> Path:
        if not reading_id.replace("-", "").isalnum():
            raise ReadingError(f"a reading's id has letters, digits and hyphens, got {reading_id!r}")
        return self.settings.readings_dir.absolute() / reading_id

    def _must_exist(self, reading_id: str) -> None:
        if not self._folder(reading_id).is_dir():
            have = ", ".join(self.readings()[-5:]) or "none yet"
            raise ReadingError(f"no reading {reading_id!r} in {self.settings.readings_dir}; the latest are: {have}")


def new_reading_id() -> str:
    """Return a new id: the time it began, for a person, and four random digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
