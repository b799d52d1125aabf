"""The tab Files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.states import empty_html
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView

EMPTY = empty_html("No files yet.", "Masks, tables and reports that steps write are listed here.")


class FilesTab(Quiet):
    """Every file that the reading made."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Tab("Files", id="files", elem_id="rr-tab-files"):
            self.shown = gr.HTML(EMPTY, elem_id="rr-files", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.shown]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what the tab shows of a reading."""
        del study, view
        shown = self._page.files_html(state)
        return {self.shown: f'<section class="rr-turn">{shown}</section>' if shown else EMPTY}
