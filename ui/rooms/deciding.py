"""The plan that waits for a person: run it, change it, or reject it with a word on what should be different."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from agent.errors import RunError
from tools.errors import ToolError
from ui.components.html import element, text
from ui.page import Page, PageState, StudyState
from ui.room import PRIVATE, Shared, Updates

if TYPE_CHECKING:
    from ui.runs import Runs
    from ui.view import RunView

FORM = element("div", id="rr-plan-fields") + element("div", id="rr-plan-checked")
"""The editor of the plan, empty: its script (static/plan.js) fills it, and no update of the page does."""
OPEN = "() => window.readingroom.plan.open()"
CHANGED = "(study, state) => [study, state, window.readingroom.plan.text()]"
DIFFERENT = "What should be different? With a word here it is planned anew."


class Deciding:
    """The buttons below a plan that waits, and the editor of the plan."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Column(visible=False, elem_id="rr-decision") as self.area:
            with gr.Row(elem_id="rr-decision-row"):
                self.approve = gr.Button(
                    "Run this plan", variant="primary", size="sm", min_width=90, elem_id="rr-approve"
                )
                self.edit = gr.Button("Change it …", size="sm", min_width=80, elem_id="rr-edit")
                self.reject = gr.Button("Do not run it", size="sm", min_width=90, elem_id="rr-reject")
            self.comment = gr.Textbox(
                label="What should be different if it is rejected",
                show_label=False,
                container=False,
                placeholder=DIFFERENT,
                lines=1,
                max_lines=3,
                elem_id="rr-comment",
            )
            with gr.Column(elem_id="rr-plan-editor"):
                gr.HTML(FORM, elem_id="rr-plan-form", apply_default_css=False)
                self.text = gr.Textbox(visible=False, label="Plan")  # filled by CHANGED alone
                self.problem = gr.HTML("", elem_id="rr-plan-problem", apply_default_css=False)
                self.run_edited = gr.Button(
                    "Run the changed plan", variant="primary", size="sm", elem_id="rr-run-edited"
                )

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.area, self.comment, self.problem]

    def updates(self, state: PageState, last: RunView | None) -> Updates:
        """Return the area as it is for the last turn; None while a run goes on."""
        del state
        waits = last is not None and last.answer is not None and last.answer.outcome == "waiting"
        return {
            self.area: gr.Column(visible=waits),
            self.comment: gr.Textbox(value=""),
            self.problem: "",
        }

    def wire(self, shared: Shared, runs: Runs, follow: dict[str, Any]) -> None:
        """Wire the decision."""
        page, study, outputs = self._page, [shared.study, shared.state], shared.outputs()

        def approve(brought: StudyState, state: PageState) -> Updates:
            return runs.start(brought, state, lambda s: page.decide(s, "approve"))

        def reject(brought: StudyState, state: PageState, comment: str) -> Updates:
            said = comment.strip() or None
            return runs.start(brought, state, lambda s: page.decide(s, "reject", comment=said))

        def run_edited(brought: StudyState, state: PageState, written: str) -> Updates:
            try:
                plan = page.look.edited_plan(state.reading, written)
            except (RunError, ToolError) as error:
                return {self.problem: element("p", text(error), css="rr-problem", role="alert")}
            return runs.start(brought, state, lambda s: page.decide(s, "edit", plan=plan))

        self.approve.click(approve, study, outputs, queue=False, **PRIVATE).success(**follow)
        self.reject.click(reject, [*study, self.comment], outputs, queue=False, **PRIVATE).success(**follow)
        self.run_edited.click(run_edited, [*study, self.text], outputs, js=CHANGED, queue=False, **PRIVATE).success(
            **follow
        )
        self.edit.click(None, [], [], js=OPEN)
