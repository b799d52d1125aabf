"""The viewer: the images in the middle of the page. The browser draws them; here is only what there is to draw."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import gradio as gr

from ui.components.html import element
from ui.page import Page, PageState, StudyState
from ui.room import Quiet, Updates
from ui.view import RunView
from ui.viewing.pictures import Pictures

STAGE = '<div id="rr-stage" class="rv"></div>'


class Viewer(Quiet):
    """The room above the tabs."""

    def __init__(self, page: Page, pictures: Pictures) -> None:
        self._page = page
        self._pictures = pictures
        gr.HTML(STAGE, elem_id="rr-viewer", apply_default_css=False)  # never changed from here: it holds the canvas
        self.scene = gr.HTML(scene_html("", ""), elem_id="rr-scene", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.scene]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return which reading is seen, and a version that changes with what there is to see in it."""
        del study
        seen: object = (self._waiting(state), [len(t.attachments) for t in state.turns], _done(view))
        return {self.scene: scene_html(state.reading, _version(seen), len(state.turns) + bool(view))}

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return a new version as soon as a step has made something."""
        seen: object = (self._waiting(state), [len(t.attachments) for t in state.turns], _done(view))
        return {self.scene: scene_html(state.reading, _version(seen), len(state.turns) + 1)}

    def _waiting(self, state: PageState) -> list[tuple[str, bool, bool]]:
        return [(p.id, p.prior, p.goes) for p in self._pictures.previews(state.reading) if not p.becomes]


def _done(view: RunView | None) -> list[Any]:
    if view is None:
        return ["over"]
    return [len(view.attachments), *(s.id for s in view.steps if s.state == "done")]


def _version(seen: object) -> str:
    return hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()[:12]


def scene_html(reading: str, version: str, asked: int = 0) -> str:
    """Return what ui/static/viewer/main.js reads: which reading, its version, and how often was asked."""
    return element("div", data_scene=reading, data_version=version, data_asked=str(asked), hidden="hidden")
