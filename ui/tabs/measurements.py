"""The tab Measurements."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.measurements import measurements_tab_html
from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = empty_html("Nothing has been measured yet.", "Ask for a volume, a diameter or a density.")


class MeasurementsTab(Quiet):
    """Every number that was measured, with unit and source of the spacing."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Measurements", id="measurements", elem_id="rr-tab-measurements"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-measurements", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        shown = measurements_tab_html(self._page.artifacts(state))
        return {self.shown: f'<section class="rr-turn">{shown}</section>' if shown else EMPTY}
