"""The tab Report: the draft as a person edits it, checked sentence by sentence, and its exports.

The text itself is the editor's (static/report.js) and the server's (ui/reports.py): no update of the page touches it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from agent.errors import RunError
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.components.html import element, text
from ui.components.report import FORMATS, editor_html
from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.view import RunView

EMPTY = empty_html("No draft yet.", "Ask for findings and impression: the draft can be edited and exported here.")
RUNNING = empty_html("A run goes on.", "The report can be edited when it has ended.")
WHEN_KEPT = "async (...given) => { await window.readingroom.report.kept(); return given; }"


class ReportTab(Quiet):
    """The editor of the report."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Report", id="report", elem_id="rr-tab-report"):
            self.now = gr.HTML(EMPTY, elem_id="rr-report-now", apply_default_css=False)
            with gr.Column(elem_id="rr-report"):
                gr.HTML(editor_html(), elem_id="rr-report-editor", apply_default_css=False)
                with gr.Row(elem_id="rr-report-bar"):
                    self.format = gr.Dropdown(
                        list(FORMATS), value="PDF", label="Export as", elem_id="rr-format", min_width=150, scale=0,
                        show_label=False, container=False,
                    )  # fmt: skip
                    self.export = gr.Button(
                        "Export", size="sm", variant="primary", min_width=90, scale=0, elem_id="rr-export"
                    )
                    self.told = gr.HTML("", elem_id="rr-report-told", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.now, self.told]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Say which draft is there; the editor then asks for its text."""
        del study
        edit = self._page.report.current(state.reading) if state.reading and view is None else None
        if edit is None:
            return {self.now: RUNNING if view is not None else EMPTY, self.told: ""}
        return {self.now: element("i", data_report=state.reading, data_base=edit.base, hidden="hidden"), self.told: ""}

    def wire(self, shared: Shared) -> None:
        """Wire the exports."""

        def export(state: PageState, form: str) -> Updates:
            """Export the report as it is kept; its files then lie in the tab Files."""
            try:
                made = self._page.report.export(state.reading, FORMATS[form])
            except (RunError, ToolError, KnowledgeError) as error:
                return {self.told: element("p", text(error), css="rr-problem", role="alert")}
            shown = shared.everything(None, self._page.read_again(state), None)
            folder = Path(self._page.folder(state))
            links = [
                element("a", text(n), href=self._page.link(folder / "artifacts" / made.id / n, folder), download=n)
                for n in made.files
            ]
            notes = "".join(element("small", text(note)) for note in made.data.get("notes", ()))
            return shown | {self.told: element("p", text("Written: "), ", ".join(links), notes, css="rr-fine")}

        given = [shared.state, self.format]
        self.export.click(export, given, shared.outputs(), js=WHEN_KEPT, queue=False, **PRIVATE)
