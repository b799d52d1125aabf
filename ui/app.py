"""The page's layout in Gradio: rooms beside each other, and what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from ui.api import Api
from ui.components.study import HEADER
from ui.page import PageState, StudyState
from ui.room import Shared
from ui.rooms.cases import Cases
from ui.rooms.conversation import Conversation
from ui.rooms.viewer import Viewer
from ui.tabs.evidence import EvidenceTab
from ui.tabs.files import FilesTab
from ui.tabs.measurements import MeasurementsTab
from ui.tabs.plan import PlanTab
from ui.tabs.report import ReportTab
from ui.tabs.settings import SettingsTab

if TYPE_CHECKING:
    from ui.owners import Owners
    from ui.page import Page
    from ui.viewing.pictures import Pictures

MAX_WAITING = 32
STATIC = Path(__file__).with_name("static")
SCRIPTS = (
    "bus.js",
    "layout.js",
    "page.js",
    "reading.js",
    "report.js",
    "plan.js",
    "access.js",
    "cases.js",
    "uploads.js",
    "settings.js",
)
STYLES = ("page.css", "layout.css", "reading.css", "report.css", "plan.css", "access.css", "viewer.css")
STATIC_PREFIX = "page"
"""Under which the page's own files are served; a browser finds it from the page."""


def build_page(page: Page, owners: Owners, pictures: Pictures) -> gr.Blocks:
    """Return the page; `ui.server` mounts it."""
    # uploads are copies with patient data in them: looked for every ten minutes, gone after half a day
    with gr.Blocks(
        title="Reading Room", analytics_enabled=False, fill_width=True, delete_cache=(600, 43_200)
    ) as blocks:
        gr.HTML(HEADER, elem_id="rr-top", apply_default_css=False)
        with gr.Row(elem_id="rr-body"):
            cases = Cases(page, pictures)
            with gr.Column(elem_id="rr-middle", scale=1, min_width=320):
                viewer = Viewer(page, pictures)
                with gr.Tabs(elem_id="rr-tabs"):
                    tabs = tuple(tab(page) for tab in (PlanTab, EvidenceTab, MeasurementsTab, ReportTab, FilesTab))
                    settings = SettingsTab()
            conversation = Conversation(page, pictures)
        shared = Shared(
            page=page,
            owners=owners,
            state=gr.State(PageState()),
            study=gr.State(StudyState()),
            viewer=viewer,
            modality=cases.modality,
            rooms=(cases, viewer, *tabs, settings, conversation),
            blocks=blocks,
        )
        Api(page, owners).wire()  # first: an event of the page must not take the name of an endpoint
        for room in shared.rooms:
            room.wire(shared)
    blocks.queue(default_concurrency_limit=8, max_size=MAX_WAITING, api_open=False)
    return blocks


def head() -> str:
    """Return the page's own scripts, as they go into its head."""
    own = "".join(f"<script>{(STATIC / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
    return own + f'<script type="module" src="{STATIC_PREFIX}/viewer/main.js"></script>'
