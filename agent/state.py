"""The graph's state: plain JSON values, so that any checkpointer can keep it and any version can read it."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class InputState(TypedDict):
    """What the world gives: a request, and files to attach where they do not lie in the workspace yet."""

    request: str
    attachments: NotRequired[list[str]]
    given: NotRequired[dict[str, Any] | None]
    """A plan that a person made, to be run in place of one for the request."""
    pointed: NotRequired[list[dict[str, Any]]]
    """What a person pointed at in the images, as agent/pointing.py has it."""


StepStatus = Literal["done", "failed", "skipped"]


class StepRecord(TypedDict):
    """How one step ended; what it made lies in the workspace under its id."""

    tool: str
    status: StepStatus
    seconds: float
    kind: str
    """The artifact's kind, or the error's."""
    message: str
    retry: bool
    """Whether other arguments could help."""


class State(TypedDict, total=False):
    """What the graph keeps of one turn. Each turn starts it anew; results of earlier turns are artifacts."""

    request: str
    attachments: list[str]
    given: dict[str, Any] | None
    pointed: list[dict[str, Any]]
    taken_as: str
    """What is planned: the request, or the one before it with the person's answer to the question it raised."""
    outcome: dict[str, Any]
    """The plan, question or refusal, as agent/plan.py has it."""
    decided_by: str
    notes: list[str]
    """What the planner left out or assumed; the person is told."""
    all_steps: list[dict[str, Any]]
    """Every step planned in this turn, replanned ones included, in order."""
    results: dict[str, StepRecord]
    replans: int
    comment: str | None
    """Why the last plan must change: a person's words, or the error of a step."""
    decision: Literal["approve", "reject"]
    claims: list[dict[str, Any]]
    held_back: list[str]
    repaired: bool
