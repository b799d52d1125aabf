"""What the page looks up in a reading: costs of a plan, models for a step, evidence with its words."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from agent.again import ModelOption, model_options
from agent.costing import StepCost, step_costs
from agent.errors import ReadingError
from agent.plan import Plan, Step
from agent.step_ids import next_number
from knowledge.errors import KnowledgeError
from tools.errors import BadInputError, ToolError
from tools.results import Hits, ReportHit
from tools.sources import source_of
from ui.components.evidence import CONTEXT, Card, EvidenceView, Matched
from ui.render import held_back_of

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.assistant import Assistant
    from tools.places import Place
    from tools.registry import Registry
    from tools.workspace import Workspace

STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])

KEPT = 32  # plans whose costs are remembered while they run


class Looking:
    """Answers the page's questions about a reading.

    Args:
        assistant: keeps the readings.
        link_to: gives the address of a file in a reading's folder.
    """

    def __init__(self, assistant: Assistant, link_to: Callable[[Path, Path], str]) -> None:
        self._assistant = assistant
        self._link_to = link_to
        self._estimated: OrderedDict[tuple[str, str], dict[str, StepCost]] = OrderedDict()

    # --- plans

    def costs_of_run(self, reading: str, plan: Plan) -> dict[str, StepCost]:
        """Return the same as `costs`, estimated once per plan: a run that goes on asks at every event."""
        key = (reading, plan.model_dump_json())
        if key not in self._estimated:
            self._estimated[key] = self.costs(reading, plan)
            while len(self._estimated) > KEPT:
                self._estimated.popitem(last=False)
        return self._estimated[key]

    def costs(self, reading: str, plan: Plan) -> dict[str, StepCost]:
        """Return what each step of a plan will take, per step id; nothing for what cannot be estimated."""
        workspace = self._assistant.workspace(reading)
        try:
            return step_costs(plan, self._assistant.registry, self._assistant.hub, workspace.every_facts())
        except ToolError:
            return {}

    def edited_plan(self, reading: str, written: str) -> Plan:
        """Return a plan as a person wrote it.

        Raises:
            BadInputError: it cannot be read, or cannot be run; says where and why.
        """
        from agent.nodes.plan import problem_of

        try:
            steps = STEPS.validate_python(json.loads(written))
            plan = Plan(steps=steps)
        except json.JSONDecodeError as error:
            raise BadInputError(f"Line {error.lineno}, character {error.colno}: {error.msg}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ", ".join(f"step {p + 1}" if isinstance(p, int) else str(p) for p in first["loc"]) or "plan"
            raise BadInputError(f"{where}: {first['msg']}") from None
        if problem := problem_of(plan, self._assistant.context(reading)):
            raise BadInputError(problem)
        return plan

    @property
    def registry(self) -> Registry:
        """The tools that a plan may use."""
        return self._assistant.registry

    def waiting_plan(self, reading: str) -> Plan:
        """Return the plan that waits for a decision.

        Raises:
            ReadingError: none does.
        """
        pause = self._assistant.answer(reading).pause if self._assistant.is_waiting(reading) else None
        if pause is None:
            raise ReadingError("No plan waits in this reading: it was decided on already.")
        return pause.plan

    def referable(self, reading: str) -> list[dict[str, str]]:
        """Return what a step may refer to, beside the steps before it: attachments and earlier results."""
        workspace = self._assistant.workspace(reading)
        brought = [{"id": a.id, "kind": a.facts.kind, "says": a.file} for a in workspace.attachments()]
        return brought + [{"id": a.id, "kind": a.kind, "says": a.provenance.tool} for a in workspace.artifacts()]

    def next_step(self, reading: str, plan: Plan) -> int:
        """Return the number that a step added to a plan gets."""
        return next_number(self._assistant.workspace(reading), (step.id for step in plan.steps))

    def models(self, reading: str, step: Step) -> list[ModelOption]:
        """Return the models that could do a step."""
        return model_options(step, self._assistant.hub, self._assistant.workspace(reading).every_facts())

    # --- evidence

    def evidence(self, answer: Answer) -> EvidenceView:
        """Return the sentences of an answer and everything that they cite."""
        workspace = self._assistant.workspace(answer.reading)
        hits = {h.report_id: h for a in answer.artifacts if a.kind == "hits" for h in Hits.model_validate(a.data).hits}
        places: dict[str, dict[Place, None]] = {}
        for claim in answer.claims:
            for evidence_id in claim.evidence:
                places.setdefault(evidence_id, {}).update(
                    dict.fromkeys(p for p in claim.where if p.evidence == evidence_id)
                )
        cards = {i: self._card(i, tuple(found), hits, workspace) for i, found in places.items()}
        cards |= {i: self._card(i, (), hits, workspace) for i in hits if i not in cards}
        return EvidenceView(answer.request, answer.claims, held_back_of(answer), cards)

    def _card(
        self, evidence_id: str, places: tuple[Place, ...], hits: Mapping[str, ReportHit], workspace: Workspace
    ) -> Card:
        hit = hits.get(evidence_id)
        store = None if hit else self._assistant.open_knowledge  # a hit brings its own words
        source = source_of(evidence_id, workspace, places, store)
        pictures = tuple(self._link_to(workspace.root / f, workspace.root) for f in source.figures)
        return Card(source, self._matched(hit) if hit else None, pictures)

    def _matched(self, hit: ReportHit) -> Matched:
        """Return a hit with the words around it, where the store still has the report."""
        matched = Matched(hit.sentence, hit.why, hit.section, hit.source)
        try:
            report = self._assistant.open_knowledge().report(hit.report_id).text
        except (KnowledgeError, ToolError):
            return matched
        if report[hit.start : hit.end] != hit.sentence:
            return matched
        before = report[max(0, hit.start - CONTEXT) : hit.start]
        return replace(matched, before=before, after=report[hit.end : hit.end + CONTEXT])
