"""The planner: a request and what is attached become a plan, a question back, or a refusal with its reason.

Three ways, and the result says which one decided:

- An LLM endpoint that can be relied on writes the plan under the JSON schema of the registered tools.
- Without one the plan is composed from the declared example requests (which tool each part asks for) and from the
  person's words (arguments).
- Where the examples leave doubt, the embedded model writes a plan too, and `decide` weighs the two (docs/planning.md
  has the figures); with `route` "llm" it writes every plan.

All pass the same validation; none gets past the checks of scope, attachments and preconditions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.llm.chat import ChatModel
from agent.plan import Clarify, Decline, Plan, Step
from agent.planner.ask_llm import Material, PlanWriter
from agent.planner.comments import Revised, less, revise
from agent.planner.decide import is_in_doubt, takes_draft
from agent.planner.draft import Drafter
from agent.planner.examples import ExampleIndex, out_of_scope
from agent.planner.followups import resolve_follow_up
from agent.planner.situation import PlanningResult, PriorResult, Situation
from agent.planner.text import MAX_CHARACTERS, is_english, with_sides_named
from agent.planner.understand import Interpreter, Understanding
from agent.planner.validate import Limits, Validator
from tools.facts import AttachmentFacts
from tools.registry import Registry

if TYPE_CHECKING:
    from knowledge.embed import Embedder
    from tools.models.hub import Hub

Route = Literal["together", "examples", "llm"]

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
        route: how a model that cannot be relied on takes part: "together" with the examples, not at all ("examples"),
            or alone ("llm").
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
        route: Route = "together",
    ) -> None:
        self._llm = llm
        self._registry = registry
        self._hub = hub
        self._limits = Limits(max_steps, max_seconds)
        self._index = ExampleIndex(registry, embedder, cache_dir)
        self._writer = PlanWriter(llm, registry, hub, max_steps)
        self._drafter = Drafter(llm, registry, self._index, max_steps)
        self._route = route

    @property
    def planned_by(self) -> str:
        """What makes the plans: the language model, where there is one to rely on."""
        if self._llm.can_write or self._route == "llm":
            return self._llm.name
        return "the declared example requests" + (f" and {self._llm.name}" if self._route == "together" else "")

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
        if self._llm.can_write:
            interpreter = Interpreter(self._index, self._registry, self._hub, situation, self._limits)
            understood = interpreter.understand(resolve_follow_up(with_sides_named(request), situation).request)
            return self._surely_out(understood) or self._by_llm(request, situation, understood, comment)
        if comment is None:
            return self._by_examples(request, situation)
        return self._by_comment(revise(request, comment), situation)

    def _surely_out(self, understood: Understanding) -> dict[str, Any] | None:
        """Return the refusal of what no model needs to look at."""
        is_out = isinstance(understood.outcome, Decline) and not understood.options
        if not is_out or understood.confidence < SURE_DECLINE:
            return None
        return {"outcome": understood.outcome, "decided_by": "rules", "notes": understood.notes}

    def _by_examples(self, request: str, situation: Situation) -> dict[str, Any]:
        follow_up = resolve_follow_up(with_sides_named(request), situation)
        interpreter = Interpreter(self._index, self._registry, self._hub, situation, self._limits)
        understood = interpreter.understand(follow_up.request)
        if refused := self._surely_out(understood):
            return refused
        decided_by = "follow-up" if follow_up.changed else "examples"
        notes = (*follow_up.notes, *understood.notes)
        made = {"outcome": understood.outcome, "decided_by": decided_by, "notes": notes}
        if self._route == "examples" or (self._route == "together" and not is_in_doubt(understood)):
            return made
        return self._with_draft(follow_up.request, situation, interpreter, understood, made)

    def _by_comment(self, revised: Revised, situation: Situation) -> dict[str, Any]:
        """Plan again as a person's comment on the last plan asks; says so when it changes nothing."""
        made = self._by_examples(revised.request, situation)
        made |= {"notes": (revised.note, *made.get("notes", ()))}
        if not isinstance(made["outcome"], Plan) or not (revised.without or revised.only):
            return made
        outcome = less(made["outcome"], revised)
        if outcome and not Validator(self._registry, self._hub, situation, self._limits).problem(outcome):
            return made | {"outcome": outcome}
        named = revised.only or " and ".join(revised.without)
        return made | {"outcome": Clarify(question=f"Nothing of the plan goes by “{named}”. What should change in it?")}

    def _with_draft(
        self,
        request: str,
        situation: Situation,
        interpreter: Interpreter,
        understood: Understanding,
        made: dict[str, Any],
    ) -> dict[str, Any]:
        """Let the embedded model write a plan too; the record keeps it whether or not it is taken."""
        draft = self._drafter.write(request, situation, lambda calls: interpreter.with_calls(request, calls))
        is_taken = draft.outcome is not None and (self._route == "llm" or takes_draft(understood, draft))
        made |= {"calls": tuple({**call, "wrote": draft.text, "taken": is_taken} for call in draft.calls)}
        if is_taken:
            return made | {"outcome": draft.outcome, "decided_by": f"llm {self._llm.name}"}
        if draft.note and self._route == "llm":
            question = f"{self._llm.name} made no plan ({draft.note}). Can you say it in other words?"
            return made | {"outcome": Clarify(question=question), "decided_by": f"llm {self._llm.name}"}
        if draft.note:
            said = f"{self._llm.name} could not be asked ({draft.note}); the nearest examples decided"
            made |= {"notes": (*made["notes"], said)}
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
