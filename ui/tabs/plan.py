"""The tab Plan: the graph of the last request, its steps, and running one again with another model."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from agent.plan import Step
from ui.components.html import element, text
from ui.components.plan import plan_tab_html
from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState
from ui.room import FOLLOWS, PRIVATE, Shared, Updates
from ui.runs import Runs
from ui.view import RunView

EMPTY = empty_html("No plan yet.", "Ask something about the study: the plan is shown before it runs.")
AS_CHOSEN = "the model that fits best"


class PlanTab:
    """The plan of the last request: which tools run, with what, and how long."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Plan", id="plan", elem_id="rr-tab-plan"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-plan", apply_default_css=False)
            with gr.Row(visible=False, elem_id="rr-again") as self.again:
                self.step = gr.Dropdown(label="Run a step again", choices=[], elem_id="rr-again-step", min_width=150)
                self.model = gr.Dropdown(
                    label="With", choices=[AS_CHOSEN], value=AS_CHOSEN, elem_id="rr-again-model", min_width=200
                )
                self.run = gr.Button("Run again", size="sm", scale=0, min_width=110, elem_id="rr-again-run")
            self.why = gr.HTML("", elem_id="rr-again-why", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown, self.again, self.step, self.model, self.why]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study
        shown = view or (state.turns[-1] if state.turns else None)
        ended = view is None and shown is not None and shown.answer is not None and shown.answer.outcome != "waiting"
        steps = [f"{s.id} {s.tool}" for s in shown.steps] if shown and ended else []
        model, why = self._models(state, steps[0] if steps else None)
        return {
            self.shown: self._html(state, shown) if shown and shown.steps else EMPTY,
            self.again: gr.Row(visible=bool(steps)),
            self.step: gr.Dropdown(choices=steps, value=steps[0] if steps else None),
            self.model: model,
            self.why: why if steps else "",
        }

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return the plan as far as it has run."""
        return {self.shown: self._html(state, view)} if view.steps else {}

    def wire(self, shared: Shared) -> None:
        """Wire running a step again."""
        runs, study = Runs(shared), [shared.study, shared.state]

        def again(brought: StudyState, state: PageState, step: str | None, model: str | None) -> Updates:
            name = None if model in (None, AS_CHOSEN) else str(model)
            return runs.start(brought, state, lambda s: self._page.run_again(s, _id(step), name))

        self.step.input(self._models, [shared.state, self.step], [self.model, self.why], queue=False, **PRIVATE)
        self.run.click(again, [*study, self.step, self.model], shared.outputs(), queue=False, **PRIVATE).success(
            runs.follow, [shared.state], shared.outputs(), **FOLLOWS
        )

    def _models(self, state: PageState, step: str | None) -> tuple[Any, str]:
        """Return the models for a step, and why others cannot be chosen."""
        found = next((s for t in state.turns for s in t.steps if s.id == _id(step)), None)
        if found is None:
            return gr.Dropdown(choices=[AS_CHOSEN], value=AS_CHOSEN), ""
        options = self._page.look.models(state.reading, Step(id=found.id, tool=found.tool, args=dict(found.args)))
        ready = [o for o in options if o.state == "ready"]
        choices = [AS_CHOSEN, *(o.name for o in ready)]
        notes = [f"{o.name}: {o.state}; {o.remedy}" for o in options if o.state != "ready"]
        if not options:
            notes = [f"{found.tool} works without a model: it runs again as it is, with what was built on it."]
        elif len(ready) < 2:
            notes.insert(0, f"No other model for {found.tool} is ready on this machine.")
        why = "".join(element("li", text(note)) for note in notes)
        return gr.Dropdown(choices=choices, value=AS_CHOSEN), element("ul", why, css="rr-lacks") if why else ""

    def _html(self, state: PageState, view: RunView) -> str:
        costs = self._page.look.costs_of_run(state.reading, view.planned.plan) if view.planned and state.reading else {}
        made = {a.id: a for a in view.answer.artifacts} if view.answer else {}
        return f'<section class="rr-turn">{plan_tab_html(view, costs, made, time.time())}</section>'


def _id(step: str | None) -> str:
    return (step or "").partition(" ")[0]
