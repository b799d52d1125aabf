"""The tab Plan."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from ui.components.turn import progress_html
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = '<p class="rr-nothing">No plan yet. Ask something about the study.</p>'


class PlanTab(Quiet):
    """The plan of the last request: which tools run, with what, and how long."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Plan", id="plan", elem_id="rr-tab-plan"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-plan", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study
        shown = view or (state.turns[-1] if state.turns else None)
        return {self.shown: self._html(shown) if shown else EMPTY}

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return the plan as far as it has run."""
        del state
        return {self.shown: self._html(view)}

    def _html(self, view: RunView) -> str:
        return f'<section class="rr-turn">{progress_html(view, time.time())}</section>'
