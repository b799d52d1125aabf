"""The tab Evidence."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.evidence import evidence_tab_html
from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState, last_answer
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = empty_html("No evidence yet.", "It comes with the answer: every sentence points at what it rests on.")


class EvidenceTab(Quiet):
    """What the sentences of the answer point at."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Evidence", id="evidence", elem_id="rr-tab-evidence"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-evidence", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        answer = last_answer(state)
        if answer is None:
            return {self.shown: EMPTY}
        shown = evidence_tab_html(self._page.look.evidence(answer))
        return {self.shown: f'<section class="rr-turn">{shown}</section>'}
