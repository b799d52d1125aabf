"""The conversation: what was asked, the run as it goes, the answer, and the box for the next request."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import gradio as gr

from ui.components.html import element
from ui.components.states import can_go_on
from ui.components.study import EMPTY
from ui.components.turn import progress_html, request_html
from ui.page import Page, PageState, StudyState
from ui.room import FOLLOWS, PRIVATE, Shared, Updates
from ui.rooms.deciding import Deciding
from ui.runs import Runs
from ui.view import RunView
from ui.viewing.pictures import Pictures

ASK = "Ask about the study …"
ASK_MORE = "Ask a follow-up question …"
NOTHING_ASKED = "Write what should be done with the study."
LOOK_S = 2  # how often a tab looks whether another one did something to its reading
ADDRESS = "() => [new URLSearchParams(location.search).get('reading') ?? '']"
EXAMPLES = (
    "Segment the lungs, measure volume and mean density, find similar reports and draft findings and impression.",
    "What is this image?",
    "Segment the brain and measure its volume.",
    "Find reports of hyperinflated lungs.",
)


class Conversation:
    """The column at the right."""

    def __init__(self, page: Page, pictures: Pictures) -> None:
        self._page = page
        self._pictures = pictures
        with gr.Column(elem_id="rr-main", scale=0, min_width=360):
            with gr.Column(elem_id="rr-talk"):
                self.history = gr.HTML(EMPTY, elem_id="rr-history", apply_default_css=False)
                self.steps = gr.HTML("", elem_id="rr-now", apply_default_css=False)
            self.deciding = Deciding(page)
            self.go_on = gr.Button("Go on from where it stopped", size="sm", visible=False, elem_id="rr-go-on")
            with gr.Row(elem_id="rr-examples") as self.examples:
                self.example_buttons = [gr.Button(e, size="sm") for e in EXAMPLES]
            with gr.Row(elem_id="rr-composer"):
                self.request = gr.Textbox(
                    placeholder=ASK, show_label=False, container=False, lines=1, max_lines=6, scale=1,
                    elem_id="rr-request", label="Request",
                )  # fmt: skip
                self.ask = gr.Button("Ask", variant="primary", scale=0, min_width=64, elem_id="rr-ask")
                self.stop = gr.Button(
                    "Stop", variant="stop", scale=0, min_width=64, visible=False, elem_id="rr-stop"
                )  # fmt: skip
            self.where = gr.HTML("", elem_id="rr-where", apply_default_css=False)
            self.address = gr.Textbox(visible=False, label="Reading")  # filled by ADDRESS alone
            self.pulse = gr.State(0)
            self.timer = gr.Timer(LOOK_S)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        own = [self.history, self.steps, self.request, self.ask, self.stop, self.go_on, self.examples, self.where]
        return [*own, *self.deciding.outputs()]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return the conversation as far as it is."""
        del study
        running = view is not None
        last = state.turns[-1] if state.turns else None
        own: Updates = {
            self.history: self._page.history_html(state) if state.turns or not running else "",
            self.steps: _now(view) if view else "",
            self.ask: gr.Button(visible=not running),
            self.stop: gr.Button(visible=running),
            self.go_on: gr.Button(visible=not running and bool(state.reading) and last is not None and can_go_on(last)),
            self.examples: gr.Row(visible=not running and not state.turns),
            self.where: element("i", data_here=state.reading, hidden="hidden"),
            self.request: gr.Textbox(placeholder=ASK_MORE if state.turns else ASK),
        }
        return own | self.deciding.updates(state, None if running else last)

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return the run as far as it is."""
        del state
        return {self.steps: _now(view)}

    def wire(self, shared: Shared) -> None:
        """Wire asking, deciding, stopping, and coming back."""
        runs = Runs(shared)
        study, outputs = [shared.study, shared.state], shared.outputs()
        follow: dict[str, Any] = {"fn": runs.follow, "inputs": [shared.state], "outputs": outputs} | FOLLOWS

        def begin(brought: StudyState, state: PageState, request: str, modality: str, who: gr.Request) -> Updates:
            """Show the request at once, or say that there is none."""
            if not request.strip():
                return {self.request: gr.Textbox(value="", placeholder=NOTHING_ASKED)}
            asked = self._page.asked(shared.opened(state, who), request, brought, modality)
            self._pictures.attaching(asked.reading, self._page.becomes(asked))
            shown = runs.start(brought.emptied, asked, self._page.ask)
            return shown | {self.request: gr.Textbox(value="", placeholder=ASK_MORE)}

        asked = [*study, self.request, shared.modality]
        for trigger in (self.ask.click, self.request.submit):
            trigger(begin, asked, outputs, queue=False, **PRIVATE).success(**follow)
        for button, example in zip(self.example_buttons, EXAMPLES, strict=True):
            button.click(partial(str, example), [], [self.request], queue=False, **PRIVATE)
        self.stop.click(self._page.stop, [shared.state], [], queue=False, **PRIVATE)

        def go_on(brought: StudyState, state: PageState) -> Updates:
            return runs.start(brought, state, self._page.go_on)

        self.go_on.click(go_on, study, outputs, queue=False, **PRIVATE).success(**follow)
        self.deciding.wire(shared, runs, follow)
        self.timer.tick(runs.look, [shared.state, self.pulse], [self.pulse], queue=False, **PRIVATE)
        self.pulse.change(**follow)
        shared.blocks.load(shared.come_back, [self.address], outputs, js=ADDRESS, queue=False, **PRIVATE).success(
            **follow
        )


def _now(view: RunView) -> str:
    return f'<section class="rr-turn">{request_html(view)}{progress_html(view, time.time())}</section>'
