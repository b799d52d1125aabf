"""The tab Settings: the language model and what may leave to it, models, past reports, PACS, memory.

It is a form of its own (static/settings.js) that asks the server by plain requests (ui/settings.py).
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.components.settings_form import PLACE
from ui.page import PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView


class SettingsTab(Quiet):
    """What this page works with."""

    def __init__(self) -> None:
        with gr.Tab("Settings", id="settings", elem_id="rr-tab-settings"):
            gr.HTML(PLACE, apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return nothing: settings do not follow the reading."""
        return []

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return nothing: settings do not follow the reading."""
        del study, state, view
        return {}
