"""The tab Evidence."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.turn import cited_html
from ui.page import Page, PageState, StudyState
from ui.render import cited_of
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = '<p class="rr-nothing">No evidence yet. It comes with the answer.</p>'


class EvidenceTab(Quiet):
    """What the sentences of the answer point at."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Evidence", id="evidence", elem_id="rr-tab-evidence"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-evidence", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        answer = next((t.answer for t in reversed(state.turns) if t.answer), None)
        shown = cited_html(cited_of(answer.artifacts)) if answer else ""
        return {self.shown: f'<section class="rr-turn">{shown}</section>' if shown else EMPTY}
