"""The tab Report: the draft as a person edits it, checked sentence by sentence, and its exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from agent.errors import RunError
from agent.report_edits import ReportEdit
from knowledge.errors import KnowledgeError
from tools.drafting.editing import TEMPLATES
from tools.errors import ToolError
from ui.components.html import element, text
from ui.components.report import FORMATS
from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.view import RunView

EMPTY = empty_html("No draft yet.", "Ask for findings and impression: the draft can be edited and exported here.")
RUNNING = empty_html("A run goes on.", "The report can be edited when it has ended.")
HINT = "One sentence a line; [s2] names its evidence"


class ReportTab(Quiet):
    """The editor of the report."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Report", id="report", elem_id="rr-tab-report"):
            self.edit = gr.State(None)
            self.empty = gr.HTML(EMPTY, elem_id="rr-report-empty", apply_default_css=False)
            with gr.Column(visible=False, elem_id="rr-report") as self.area:
                with gr.Row(elem_id="rr-report-bar"):
                    self.template = gr.Dropdown(
                        list(TEMPLATES), value=next(iter(TEMPLATES)), label="Template", elem_id="rr-template",
                        min_width=150,
                    )  # fmt: skip
                    self.again = gr.Button("Take the draft again", size="sm", min_width=120, elem_id="rr-draft-again")
                    self.format = gr.Dropdown(
                        list(FORMATS), value="PDF", label="Export as", elem_id="rr-format", min_width=110
                    )
                    self.export = gr.Button("Export", size="sm", variant="primary", min_width=80, elem_id="rr-export")
                self.told = gr.HTML("", elem_id="rr-report-told", apply_default_css=False)
                self.take_over = gr.Button(
                    "Take over what is there", size="sm", visible=False, elem_id="rr-report-take-over"
                )
                with gr.Row(elem_id="rr-report-body"):
                    self.text = gr.Textbox(
                        label="Report", info=HINT, lines=14, max_lines=40, elem_id="rr-report-text", min_width=240
                    )
                    self.checked = gr.HTML("", elem_id="rr-report-checked", apply_default_css=False, min_height=20)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.edit, self.empty, self.area, self.told, self.take_over, self.text, self.checked]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return the report as it is kept."""
        del study
        edit = self._page.report.current(state.reading) if state.reading and view is None else None
        nothing = RUNNING if view is not None else EMPTY
        return {
            self.edit: edit,
            self.empty: gr.HTML(nothing, visible=edit is None),
            self.area: gr.Column(visible=edit is not None),
            self.told: "",
            self.take_over: gr.Button(visible=False),
            self.text: edit.text if edit else "",
            self.checked: self._page.report.checked_html(state.reading, edit) if edit else "",
        }

    def wire(self, shared: Shared) -> None:
        """Wire editing, templates and exports.

        `change`, not `input`: Gradio does not tell the first input after the page itself has set the text.
        """
        changed = [self.edit, self.told, self.take_over, self.checked]
        given = [shared.state, self.edit]
        self.text.change(self._on_text, [*given, self.text], changed, trigger_mode="always_last", **PRIVATE)
        rewritten = [self.text, *changed]
        self.template.input(self._on_template, [*given, self.template], rewritten, queue=False, **PRIVATE)
        self.again.click(self._on_again, given, rewritten, queue=False, **PRIVATE)
        self.take_over.click(self._on_take_over, [shared.state], rewritten, queue=False, **PRIVATE)

        def export(state: PageState, form: str) -> Updates:
            """Export the report as it is kept; its files then lie in the tab Files."""
            try:
                made = self._page.report.export(state.reading, FORMATS[form])
            except (RunError, ToolError, KnowledgeError) as error:
                return {self.told: _problem(error)}
            shown = shared.everything(StudyState(), self._page.read_again(state), None)
            shown.pop(shared.study)
            folder = Path(self._page.folder(state))
            links = [
                element("a", text(n), href=self._page.link(folder / "artifacts" / made.id / n, folder), download=n)
                for n in made.files
            ]
            notes = "".join(element("small", text(note)) for note in made.data.get("notes", ()))
            return shown | {self.told: element("p", text("Written: "), ", ".join(links), notes, css="rr-fine")}

        self.export.click(export, [shared.state, self.format], shared.outputs(), **PRIVATE)

    def _on_text(self, state: PageState, edit: ReportEdit | None, written: str) -> tuple[Any, ...]:
        """Keep the text and check it; where another tab changed it, keep nothing and say so."""
        if edit is None or not state.reading:
            return edit, "", gr.Button(visible=False), ""
        if written == edit.text:  # the page itself put it there
            return edit, gr.skip(), gr.skip(), gr.skip()
        changed = edit.model_copy(update={"text": written})
        try:
            kept = self._page.report.keep(state.reading, changed)
        except (RunError, ToolError) as error:
            shown = self._page.report.checked_html(state.reading, changed)
            return edit, _problem(error), gr.Button(visible=True), shown
        shown = self._page.report.checked_html(state.reading, kept)
        return kept, "", gr.Button(visible=False), shown

    def _on_template(self, state: PageState, edit: ReportEdit | None, template: str) -> tuple[Any, ...]:
        written = self._page.report.by_template(state.reading, edit, template) if edit else ""
        return written, *self._on_text(state, edit, written)

    def _on_again(self, state: PageState, edit: ReportEdit | None) -> tuple[Any, ...]:
        written = self._page.report.drafted(state.reading, edit) if edit else ""
        return written, *self._on_text(state, edit, written)

    def _on_take_over(self, state: PageState) -> tuple[Any, ...]:
        edit = self._page.report.current(state.reading)
        shown = self._page.report.checked_html(state.reading, edit) if edit else ""
        return edit.text if edit else "", edit, "", gr.Button(visible=False), shown


def _problem(error: Exception) -> str:
    return element("p", text(error), css="rr-problem", role="alert")
