"""What happens in a run, as it happens: one typed stream for Python, the command line and the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.pausing import Pause
from agent.plan import Plan
from tools.facts import AttachmentFacts
from tools.results import Claim


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float = Field(default_factory=time.time)
    """Seconds since the epoch, when it happened."""


class Attached(_Event):
    """A file was taken into the reading."""

    type: Literal["attached"] = "attached"
    facts: AttachmentFacts
    name: str


class Planning(_Event):
    """The planner has started."""

    type: Literal["planning"] = "planning"
    by: str
    """What plans: a language model's name, or the declared example requests."""


class PlanWriting(_Event):
    """A language model writes a plan: its steps so far, not checked yet."""

    type: Literal["plan writing"] = "plan writing"
    model: str
    tools: tuple[str, ...]
    """The tool of each step, in the order in which they are written; where it begins anew, from the first."""


class Planned(_Event):
    """The plan, before anything runs."""

    type: Literal["plan"] = "plan"
    plan: Plan
    decided_by: str
    seconds: float
    estimated_seconds: float
    device_memory_mb: int = 0
    """Of the largest step on a GPU; 0 where none needs one."""
    lacks: tuple[str, ...] = ()
    """What is missing before it can run: weights, extras, servers, spacing, a prior."""


class Paused(_Event):
    """The plan waits for a person; nothing of it has run."""

    type: Literal["waiting"] = "waiting"
    reading: str
    pause: Pause


class StepStarted(_Event):
    """A step has started."""

    type: Literal["step started"] = "step started"
    step: str
    tool: str
    args: dict[str, Any]


class Progress(_Event):
    """How far a step is."""

    type: Literal["progress"] = "progress"
    step: str
    fraction: float
    message: str = ""


class StepFinished(_Event):
    """A step has finished; its result is in the workspace."""

    type: Literal["step finished"] = "step finished"
    step: str
    tool: str
    seconds: float
    summary: str
    kind: str
    files: tuple[str, ...] = ()
    """Absolute paths."""
    figures: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    data: dict[str, Any] = Field(default_factory=dict)


class StepFailed(_Event):
    """A step could not do its work; the others' results stay."""

    type: Literal["step failed"] = "step failed"
    step: str
    tool: str
    seconds: float
    kind: str
    """Which error (tools/errors.py), "skipped" when a step it needs failed, or "bug"."""
    message: str


class Writing(_Event):
    """A language model writes: one sentence as far as it is, not yet checked against any evidence."""

    type: Literal["writing"] = "writing"
    step: str
    """The step that it writes for; empty: the answer, where a sentence is mended."""
    model: str
    call: int
    """Of the model, from 1 within the step."""
    sentence: int
    """From 0, within the call; those after it are not written yet."""
    text: str
    """The whole sentence so far."""


class Tokens(_Event):
    """A language model was called: what it cost, and what the request has spent so far."""

    type: Literal["tokens"] = "tokens"
    model: str
    purpose: str
    tokens_in: int
    tokens_out: int
    used: int
    limit: int


class Evidence(_Event):
    """A sentence of the answer was held against its evidence; it is shown only if that holds."""

    type: Literal["evidence"] = "evidence"
    claim: Claim
    holds: bool
    problem: str = ""
    """Why it is held back."""


class Answered(_Event):
    """The answer: every sentence with its evidence."""

    type: Literal["answer"] = "answer"
    reading: str
    outcome: Literal["answered", "clarify", "declined", "waiting", "failed"]
    claims: tuple[Claim, ...]
    held_back: tuple[str, ...] = ()
    """Sentences that could not be tied to their evidence, with the reason."""


class Failed(_Event):
    """The run stopped; what was computed stays in the reading."""

    type: Literal["error"] = "error"
    reading: str
    kind: str
    message: str


Event = Annotated[
    Attached
    | Planning
    | PlanWriting
    | Planned
    | Paused
    | StepStarted
    | Progress
    | StepFinished
    | StepFailed
    | Writing
    | Tokens
    | Evidence
    | Answered
    | Failed,
    Field(discriminator="type"),
]
AnyEvent = (
    Attached
    | Planning
    | PlanWriting
    | Planned
    | Paused
    | StepStarted
    | Progress
    | StepFinished
    | StepFailed
    | Writing
    | Tokens
    | Evidence
    | Answered
    | Failed
)
Emit = Callable[[AnyEvent], None]
