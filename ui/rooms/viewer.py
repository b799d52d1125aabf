"""The viewer: the images in the middle of the page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView

NOTHING_OPEN = '<p class="rr-nothing">No image is open. Attach a study or take a sample case.</p>'


class Viewer(Quiet):
    """The room above the tabs."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.stage = gr.HTML(NOTHING_OPEN, elem_id="rr-viewer", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.stage]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return the pictures of the reading."""
        del study, view
        return {self.stage: self._page.pictures_html(state) or NOTHING_OPEN}
