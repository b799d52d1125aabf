"""The tab Settings."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.html import element, text
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView


class SettingsTab(Quiet):
    """What this page runs with."""

    def __init__(self, page: Page) -> None:
        with gr.Tab("Settings", id="settings", elem_id="rr-tab-settings"):
            rows = "".join(element("dt", text(n)) + element("dd", text(v)) for n, v in page.settings_lines())
            gr.HTML(element("dl", rows, css="rr-settings"), elem_id="rr-settings", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return nothing: settings do not follow the reading."""
        return []

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return nothing: settings do not follow the reading."""
        del study, state, view
        return {}
