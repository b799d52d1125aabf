"""What a plan is made from, and what planning gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.plan import Clarify, Decline, Plan
from tools.facts import AttachmentFacts


@dataclass(frozen=True)
class PriorResult:
    """What an earlier step of the reading made; a follow-up may refer to it."""

    id: str
    tool: str
    kind: str
    targets: tuple[str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    """The arguments that made it, where they are known."""


@dataclass(frozen=True)
class Situation:
    """What is there when a request comes in."""

    facts: Mapping[str, AttachmentFacts] = field(default_factory=dict)
    results: tuple[PriorResult, ...] = ()
    first_step: int = 1
    """Number of the first new step; ids are never used twice in a reading."""

    def attached(self, kind: str) -> list[AttachmentFacts]:
        """Return the attachments of a kind, in order."""
        return [f for f in self.facts.values() if f.kind == kind]


@dataclass(frozen=True)
class PlanningResult:
    """A plan, a question back or a refusal, and how it came about."""

    outcome: Plan | Clarify | Decline
    decided_by: str
    """ "llm NAME", "examples" (nearest declared example requests), "rules", or "follow-up"."""
    attempts: int = 1
    """How many plans were made before this one held: 2 after a repair round."""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """What was left out or assumed, in words a person would read."""
    calls: tuple[Mapping[str, Any], ...] = ()
    """One entry per call of a language model, for the run record."""


class NeedsAnswerError(Exception):
    """Something is missing or ambiguous; the message is the question to the person."""


class CannotDoError(Exception):
    """Nothing here can do it; the message is the reason."""
