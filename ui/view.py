"""What a person sees of a run: events folded into one state, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from agent.events import (
    Answered,
    Attached,
    Evidence,
    Failed,
    Paused,
    Planned,
    Planning,
    PlanWriting,
    Progress,
    StepFailed,
    StepFinished,
    StepStarted,
    Tokens,
    Writing,
)
from agent.plan import Condition, Step

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.events import AnyEvent
    from agent.pausing import Pause
    from tools.facts import AttachmentFacts

StepState = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class AttachmentView:
    """An attachment and the name of its file."""

    facts: AttachmentFacts
    name: str


@dataclass(frozen=True)
class StepView:
    """One step as far as it is."""

    id: str
    tool: str
    args: Mapping[str, Any]
    state: StepState = "waiting"
    fraction: float = 0.0
    """0 to 1, as the tool reports it."""
    message: str = ""
    """What it is doing, what it made, or why it failed."""
    started_at: float = 0.0
    """Seconds since the epoch; 0 until it starts."""
    seconds: float = 0.0
    marks: tuple[str, ...] = ()
    kind: str = ""
    """Kind of its result, or of the error."""
    model: str | None = None
    """The model card that a person named."""
    when: Condition | None = None


@dataclass(frozen=True)
class Written:
    """What a language model has written so far; nothing of it is checked yet."""

    step: str
    """Empty: the answer itself."""
    model: str
    call: int
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunView:
    """One run as far as it is."""

    request: str = ""
    reading: str = ""
    attachments: tuple[AttachmentView, ...] = ()
    planning_by: str = ""
    """The language model that is planning; empty before and after."""
    planning_since: float = 0.0
    plan_writing: tuple[str, ...] = ()
    """The tools of the plan that a language model is writing, as far as it is; not checked yet."""
    planned: Planned | None = None
    steps: tuple[StepView, ...] = ()
    answered: Answered | None = None
    failed: Failed | None = None
    answer: Answer | None = None
    """The whole answer, once the run has ended."""
    before: int = 0
    """Its place in the line of runs, from 1; 0 once it has begun."""
    pause: Pause | None = None
    """The plan that waits for a person."""
    sentences: tuple[Evidence, ...] = ()
    """Sentences as they are held against their evidence, before the answer is whole."""
    writing: tuple[Written, ...] = ()
    """What is being written, until its check has run."""
    tokens: int = 0
    """What language models have spent on the request so far."""
    token_limit: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the last event has come."""
        return self.answered is not None or self.failed is not None


def resumed(view: RunView) -> RunView:
    """Return a turn that ended, paused or was cut off, as it is when it goes on."""
    return replace(view, answered=None, failed=None, answer=None, pause=None, sentences=(), writing=())


def view_of(request: str, reading: str, events: Iterable[AnyEvent], answer: Answer | None) -> RunView:
    """Return a turn of the past."""
    view = RunView(request=request, reading=reading)
    for event in events:
        view = fold(view, event)
    return replace(view, answer=answer, reading=reading)


def fold(view: RunView, event: AnyEvent) -> RunView:  # noqa: C901, PLR0911  one for each event
    """Return the state after an event."""
    match event:
        case Attached():
            return replace(view, attachments=(*view.attachments, AttachmentView(event.facts, event.name)))
        case Planning():
            return replace(view, planning_by=event.by, planning_since=event.at, plan_writing=())
        case PlanWriting():
            return replace(view, plan_writing=event.tools)
        case Planned():
            steps = _with_plan(view.steps, event.plan.steps)
            return replace(view, planning_by="", planned=event, steps=steps, pause=None)
        case StepStarted() | Progress() | StepFinished() | StepFailed():
            writing = view.writing if isinstance(event, Progress) else _checked(view.writing, event.step)
            return replace(view, steps=_with_step(view.steps, event), pause=None, writing=writing)
        case Answered():
            return replace(view, planning_by="", answered=event, reading=event.reading, writing=())
        case Failed():
            return replace(view, planning_by="", failed=event, reading=event.reading or view.reading, writing=())
        case Paused():
            return replace(view, planning_by="", reading=event.reading, pause=event.pause)
        case Tokens():
            return replace(view, tokens=event.used, token_limit=event.limit)
        case Evidence():
            return replace(view, sentences=(*view.sentences, event), writing=_checked(view.writing, ""))
        case Writing():
            return replace(view, writing=_with_words(view.writing, event))


def _checked(writing: tuple[Written, ...], step: str) -> tuple[Written, ...]:
    """What was written for a step has been checked: what holds of it comes with the step's result."""
    return tuple(w for w in writing if w.step != step)


def _with_words(writing: tuple[Written, ...], event: Writing) -> tuple[Written, ...]:
    key = (event.step, event.call)
    before = next((w.sentences for w in writing if (w.step, w.call) == key), ())
    written = Written(event.step, event.model, event.call, (*before[: event.sentence], event.text))
    return (*(w for w in writing if (w.step, w.call) != key), written)


def _with_plan(steps: tuple[StepView, ...], planned: tuple[Step, ...]) -> tuple[StepView, ...]:
    """Keep what has run; steps of an earlier plan that never started are gone."""
    kept = tuple(s for s in steps if s.state != "waiting")
    known = {s.id for s in kept}
    return kept + tuple(
        StepView(s.id, s.tool, s.args, model=s.model, when=s.when) for s in planned if s.id not in known
    )


def _with_step(
    steps: tuple[StepView, ...], event: StepStarted | Progress | StepFinished | StepFailed
) -> tuple[StepView, ...]:
    if not any(s.id == event.step for s in steps):
        if isinstance(event, Progress):
            return steps
        steps = (*steps, StepView(event.step, event.tool, {}))
    return tuple(_advanced(s, event) if s.id == event.step else s for s in steps)


def _advanced(step: StepView, event: StepStarted | Progress | StepFinished | StepFailed) -> StepView:
    match event:
        case StepStarted():
            return replace(step, state="running", started_at=event.at, args=event.args)
        case Progress():
            return replace(step, fraction=min(1.0, max(0.0, event.fraction)), message=event.message)
        case StepFinished():
            return replace(
                step,
                state="done",
                fraction=1.0,
                message=event.summary,
                seconds=event.seconds,
                marks=event.marks,
                kind=event.kind,
            )
        case StepFailed():
            state: StepState = "skipped" if event.kind == "skipped" else "failed"
            return replace(step, state=state, message=event.message, seconds=event.seconds, kind=event.kind)
