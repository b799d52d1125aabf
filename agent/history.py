"""What happened in a reading, turn by turn, from its record: the same events that were streamed while it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.answer import Answer, answer_from
from agent.events import (
    Answered,
    AnyEvent,
    Attached,
    Failed,
    Paused,
    Planned,
    StepFailed,
    StepFinished,
    StepStarted,
)
from agent.pausing import Pause
from agent.plan import Plan
from tools.results import Claim
from tools.workspace import Artifact, Workspace

if TYPE_CHECKING:
    from agent.assistant import Assistant

Line = Mapping[str, Any]


@dataclass
class PastTurn:
    """One request, what happened, and how it ended."""

    request: str
    events: list[AnyEvent] = field(default_factory=list)
    answer: Answer | None = None
    """None: it was stopped, or its process was killed."""

    @property
    def is_open(self) -> bool:
        """Whether it was cut off: it can be gone on with."""
        return self.answer is None and not any(isinstance(e, Failed) for e in self.events)


def turns_of(assistant: Assistant, reading: str) -> list[PastTurn]:
    """Return the turns of a reading, oldest first.

    Raises:
        ReadingError: no such reading.
    """
    workspace = assistant.workspace(reading)
    turns: list[PastTurn] = []
    before: list[AnyEvent] = []  # what was attached before the request itself was written down
    for line in assistant.record(reading).lines():
        if line["event"] == "attached":
            before += _attached(line, workspace)
        elif line["event"] == "turn":
            _begin(turns, line, before)
            before = []
        elif turns and turns[-1].is_open:  # what a person did between turns belongs to none
            _take(turns[-1], line, reading, workspace)
    _attach_what_no_line_tells(turns, workspace)
    return turns


def _begin(turns: list[PastTurn], line: Line, attached: list[AnyEvent]) -> None:
    if line.get("request") is not None or not turns:
        turns.append(PastTurn(request=line.get("request") or "", events=list(attached)))
        return
    turn = turns[-1]  # a decision, or going on after a kill: the same turn
    turn.answer = None
    turn.events = [e for e in turn.events if not isinstance(e, Answered | Failed | Paused)]


def _take(turn: PastTurn, line: Line, reading: str, workspace: Workspace) -> None:
    if line["event"] == "answer":
        turn.answer = answer_from(line, reading, workspace)
    if line["event"] == "step started":
        turn.events.append(_started(line, turn.events))
    elif read := _EVENTS.get(line["event"]):
        turn.events += read(line, reading)


def _attached(line: Line, workspace: Workspace) -> Iterator[AnyEvent]:
    for attachment in workspace.attachments():
        if attachment.id == line["id"]:
            yield Attached(facts=attachment.facts, name=attachment.file, at=line["at"])


def _attach_what_no_line_tells(turns: list[PastTurn], workspace: Workspace) -> None:
    """Readings of earlier versions wrote no line for an attachment: it counts as brought with the first request."""
    told = {e.facts.id for turn in turns for e in turn.events if isinstance(e, Attached)}
    left = [a for a in workspace.attachments() if a.id not in told]
    if turns and left:
        turns[0].events[:0] = [Attached(facts=a.facts, name=a.file, at=0.0) for a in left]


def _planned(line: Line, reading: str) -> Iterator[AnyEvent]:
    if line["outcome"]["outcome"] != "plan":
        return
    yield _plan_told(line, line["outcome"], line["decided_by"])


def _decided(line: Line, reading: str) -> Iterator[AnyEvent]:
    if line.get("plan"):
        yield _plan_told(line, line["plan"], "a person")


def _plan_told(line: Line, plan: Line, decided_by: str) -> Planned:
    cost = line.get("cost") or {}
    return Planned(
        plan=Plan.model_validate(plan),
        decided_by=decided_by,
        seconds=line.get("seconds", 0.0),
        estimated_seconds=cost.get("seconds", 0.0),
        device_memory_mb=cost.get("device_memory_mb", 0),
        lacks=tuple(cost.get("lacks", ())),
        at=line["at"],
    )


def _started(line: Line, events: Sequence[AnyEvent]) -> StepStarted:
    """The record keeps arguments with their defaults; the event told them as they were planned."""
    planned = {s.id: s.args for e in events if isinstance(e, Planned) for s in e.plan.steps}
    args = planned.get(line["step"], line["args"]) or {}
    return StepStarted(step=line["step"], tool=line["tool"], args=args, at=line["at"])


def _finished(line: Line, reading: str) -> Iterator[AnyEvent]:
    made = Artifact.model_validate(line["artifact"])
    yield StepFinished(
        step=made.id,
        tool=made.provenance.tool,
        seconds=made.provenance.seconds,
        summary=made.summary,
        kind=made.kind,
        marks=made.marks,
        data=made.data,
        at=line["at"],
    )


def _step_failed(line: Line, reading: str) -> Iterator[AnyEvent]:
    kind = line.get("kind", "skipped")
    yield StepFailed(
        step=line["step"], tool=line["tool"], seconds=0.0, kind=kind, message=line["message"], at=line["at"]
    )


def _bug(line: Line, reading: str) -> Iterator[AnyEvent]:
    if "step" in line:
        message = f"{line['tool']} stopped with an unexpected error; the traceback is in the reading's record"
        yield StepFailed(step=line["step"], tool=line["tool"], seconds=0.0, kind="bug", message=message, at=line["at"])
    else:
        message = "stopped by an unexpected error; the traceback is in the reading's record"
        yield Failed(reading=reading, kind="bug", message=message, at=line["at"])


def _failed(line: Line, reading: str) -> Iterator[AnyEvent]:
    yield Failed(reading=reading, kind=line["kind"], message=line["message"], at=line["at"])


def _answered(line: Line, reading: str) -> Iterator[AnyEvent]:
    if line.get("pause"):
        yield Paused(reading=reading, pause=Pause.model_validate(line["pause"]), at=line["at"])
    yield Answered(
        reading=reading,
        outcome=line["outcome"],
        claims=tuple(Claim.model_validate(c) for c in line["claims"]),
        held_back=tuple(line["held_back"]),
        at=line["at"],
    )


_EVENTS: Mapping[str, Callable[[Line, str], Iterator[AnyEvent]]] = {
    "plan": _planned,
    "decision": _decided,
    "step finished": _finished,
    "step failed": _step_failed,
    "step skipped": _step_failed,
    "bug": _bug,
    "run failed": _failed,
    "answer": _answered,
}
