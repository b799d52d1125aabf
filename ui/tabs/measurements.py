"""The tab Measurements."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.turn import measurements_html
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = '<p class="rr-nothing">Nothing has been measured yet.</p>'


class MeasurementsTab(Quiet):
    """Every number that was measured, with unit and source of the spacing."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Measurements", id="measurements", elem_id="rr-tab-measurements"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-measurements", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        answer = next((t.answer for t in reversed(state.turns) if t.answer), None)
        shown = measurements_html(answer) if answer else ""
        return {self.shown: f'<section class="rr-turn">{shown}</section>' if shown else EMPTY}
