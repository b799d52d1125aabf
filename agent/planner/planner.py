"""The planner: a request and what is attached become a plan, a question back, or a refusal with its reason.

Two routes, and the result says which one decided:

- An LLM endpoint that can be relied on writes the plan under the JSON schema of the registered tools.
- Without one the plan is composed from the declared example requests (which tool each part asks for) and from the
  person's words (arguments); the embedded model chooses where two tools' examples are as near as each other.

Both pass the same validation; neither gets past the checks of scope, attachments and preconditions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.llm.chat import ChatModel
from agent.plan import Clarify, Decline, Plan, Step
from agent.planner.ask_llm import Material, PlanWriter
from agent.planner.choose import choose, is_tie
from agent.planner.examples import ExampleIndex, out_of_scope
from agent.planner.followups import resolve_follow_up
from agent.planner.situation import PlanningResult, PriorResult, Situation
from agent.planner.text import MAX_CHARACTERS, Clause, is_english, with_sides_named
from agent.planner.understand import Interpreter, Understanding
from agent.planner.validate import Limits, Validator
from tools.facts import AttachmentFacts
from tools.registry import Registry

if TYPE_CHECKING:
    from knowledge.embed import Embedder
    from tools.models.hub import Hub

SURE_DECLINE = 0.6  # a request this clearly out of scope is not put to an LLM at all


class Planner:
    """Makes plans.

    Args:
        llm: the language model.
        registry: the tools.
        hub: the models; capability is a registered card, whether or not its weights are here.
        embedder: sentence embedding for the nearest declared examples.
        max_steps: how many steps a plan may have.
        max_seconds: how many estimated seconds a plan may cost.
        cache_dir: where the examples' embeddings are kept; None: nowhere.
    """

    def __init__(  # noqa: PLR0913  collaborators and limits, all by keyword
        self,
        *,
        llm: ChatModel,
        registry: Registry,
        hub: Hub,
        embedder: Embedder,
        max_steps: int = 24,
        max_seconds: float = 3600.0,
        cache_dir: Path | None = None,
    ) -> None:
        self._llm = llm
        self._registry = registry
        self._hub = hub
        self._limits = Limits(max_steps, max_seconds)
        self._index = ExampleIndex(registry, embedder, cache_dir)
        self._writer = PlanWriter(llm, registry, hub, max_steps)

    @property
    def planned_by(self) -> str:
        """What makes the plans: the language model, where there is one to rely on."""
        return self._llm.name if self._llm.can_write else "the declared example requests"

    @property
    def can_replan(self) -> bool:
        """Whether a failed step's reason can lead to another plan: composing from examples would give the same."""
        return self._llm.can_write

    def plan(
        self,
        request: str,
        facts: Mapping[str, AttachmentFacts],
        *,
        results: Sequence[PriorResult] = (),
        first_step: int = 1,
        comment: str | None = None,
    ) -> PlanningResult:
        """Return a plan, a question or a refusal.

        Args:
            request: what the person asks.
            facts: what is attached, by id.
            results: what earlier steps of the reading made.
            first_step: number of the first new step.
            comment: why the last plan for this request must change.

        Raises:
            LLMUnavailableError: the endpoint that should plan does not answer.
        """
        started = time.monotonic()
        situation = Situation(facts, tuple(results), first_step)
        made = self._plan(request.strip(), situation, comment)
        return PlanningResult(**{**made, "seconds": time.monotonic() - started})

    def nearest_example(self, request: str) -> Plan | Clarify | Decline:
        """Return the plan of the nearest declared example, copied as it is: a baseline, never used for planning."""
        near = self._index.nearest(request or " ", 1)[0]
        if near.calls:
            return Plan(steps=tuple(Step(id=f"s{n}", tool=c.tool, args=c.args) for n, c in enumerate(near.calls, 1)))
        scope = out_of_scope()[near.tool[1:]]
        return Decline(reason=scope.message) if scope.outcome == "decline" else Clarify(question=scope.message)

    def _plan(self, request: str, situation: Situation, comment: str | None) -> dict[str, Any]:
        if asked := self._by_rule(request):
            return {"outcome": asked, "decided_by": "rules"}
        follow_up = resolve_follow_up(with_sides_named(request), situation)
        interpreter = Interpreter(self._index, self._registry, self._hub, situation, self._limits)
        understood = interpreter.understand(follow_up.request)
        is_out = isinstance(understood.outcome, Decline) and not understood.options
        if is_out and understood.confidence >= SURE_DECLINE:
            return {"outcome": understood.outcome, "decided_by": "rules", "notes": understood.notes}
        if self._llm.can_write:
            return self._by_llm(request, situation, understood, comment)
        decided_by = "follow-up" if follow_up.changed else "examples"
        notes = (*follow_up.notes, *understood.notes)
        made = {"outcome": understood.outcome, "decided_by": decided_by, "notes": notes}
        return self._by_choice(follow_up.request, interpreter, understood, made)

    def _by_choice(
        self, request: str, interpreter: Interpreter, understood: Understanding, made: dict[str, Any]
    ) -> dict[str, Any]:
        """Let the model choose where two tools are as near as each other and either would do."""
        asked = [(part, found) for part, found in understood.options if found]
        if not isinstance(understood.outcome, Plan) or not any(is_tie(found) for _, found in asked):
            return made
        chosen: list[tuple[Clause, str]] = []
        for part, found in asked:
            tool = found[0].tool
            if is_tie(found):
                choice = choose(self._llm, self._index, part.text, found)
                tool = choice.tool
                made |= {"calls": (*made.get("calls", ()), *choice.calls)}
                made |= {"notes": (*made["notes"], *([choice.note] if choice.note else []))}
            chosen.append((part, tool))
        if all(tool == found[0].tool for (_, tool), (_, found) in zip(chosen, asked, strict=True)):
            return made
        other = interpreter.with_tools(request, chosen)
        if isinstance(other, Plan):
            made |= {"outcome": other, "decided_by": f"llm {self._llm.name}"}
        return made

    def _by_rule(self, request: str) -> Clarify | Decline | None:
        if not request:
            return Clarify(question="Nothing was asked. What should be done with the study?")
        if len(request) > MAX_CHARACTERS:
            return Decline(
                reason=f"The request has {len(request):,} characters; {MAX_CHARACTERS:,} are allowed. "
                "Attach long texts as a file and ask in a few sentences."
            )
        if not self._llm.can_write and not is_english(request):
            return Clarify(
                question="The embedded planner reads English only. Can you ask in English, or set an LLM endpoint "
                "(READINGROOM_LLM_BASE_URL) that reads your language?"
            )
        return None

    def _by_llm(
        self, request: str, situation: Situation, understood: Understanding, comment: str | None
    ) -> dict[str, Any]:
        material = Material(
            request=request,
            situation=situation,
            nearest=self._index.nearest(request, 6),
            suggestion=understood.outcome if understood.options else None,
            comment=comment,
        )
        validator = Validator(self._registry, self._hub, situation, self._limits)
        written = self._writer.write(material, validator)
        return {
            "outcome": written.outcome,
            "decided_by": f"llm {self._llm.name}",
            "attempts": written.attempts,
            "calls": written.calls,
        }
