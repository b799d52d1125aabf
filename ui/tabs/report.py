"""The tab Report."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.report import draft_html
from ui.page import Page, PageState, StudyState, last_answer
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = '<p class="rr-nothing">No draft yet. Ask for findings and impression.</p>'


class ReportTab(Quiet):
    """The draft report."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Report", id="report", elem_id="rr-tab-report"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-report", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        answer = last_answer(state)
        shown = draft_html(answer) if answer else ""
        return {self.shown: f'<section class="rr-turn">{shown}</section>' if shown else EMPTY}
