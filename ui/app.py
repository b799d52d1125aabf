"""The page's layout in Gradio, and which event calls what."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from knowledge.errors import KnowledgeError
from ui.components.html import text
from ui.components.study import EMPTY, HEADER
from ui.components.turn import progress_html, request_html
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.samples import SAMPLES
from ui.view import RunView

if TYPE_CHECKING:
    import gradio as gr

    from ui.samples import Sample

MODALITIES = ("CT", "MR", "CR", "DX", "US", "PT", "MG")
CONCURRENT_RUNS = 2  # the rest waits in the queue: two cores, one device
MAX_WAITING = 32
STATIC = Path(__file__).with_name("static")

ASK = "Ask about the study …"
NOTHING_ASKED = "Write what should be done with the study."
EXAMPLES = (
    "Segment the lungs, measure volume and mean density, find similar reports and draft findings and impression.",
    "What is this image?",
    "Segment the brain and measure its volume.",
    "Find reports of hyperinflated lungs.",
)


class Parts(NamedTuple):
    """The components that events change."""

    state: gr.State
    study_state: gr.State
    history: gr.HTML
    steps: gr.HTML
    request: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    decision: gr.Row
    examples: gr.Row
    study: gr.HTML
    uploads: gr.File
    series: gr.Dropdown
    new: gr.Button


class Controls(NamedTuple):
    """The components that only send events."""

    modality: gr.Dropdown
    samples: list[gr.Button]
    examples: list[gr.Button]
    approve: gr.Button
    reject: gr.Button


def build_page(page: Page) -> gr.Blocks:
    """Return the page; `ui.server` mounts it."""
    import gradio as gr

    # uploads are copies with patient data in them: looked for every ten minutes, gone after half a day
    with gr.Blocks(
        title="Reading Room", analytics_enabled=False, fill_width=True, delete_cache=(600, 43_200)
    ) as blocks:
        _markup(HEADER, "rr-top")
        with gr.Row(elem_id="rr-body"):
            side = _sidebar()
            main = _conversation()
        state = gr.State(PageState(), delete_callback=page.leave)
        parts = Parts(state=state, study_state=gr.State(StudyState()), **main[0], **side[0])
        _wire(page, parts, Controls(**side[1], **main[1]))
    blocks.queue(default_concurrency_limit=8, max_size=MAX_WAITING, api_open=False)
    return blocks


def _markup(html: str, elem_id: str | None = None) -> gr.HTML:
    import gradio as gr

    return gr.HTML(html, elem_id=elem_id, apply_default_css=False)


def _sidebar() -> tuple[dict[str, Any], dict[str, Any]]:
    import gradio as gr

    with gr.Column(elem_id="rr-side", scale=0, min_width=300):
        _markup('<h2 class="rr-title">Study</h2>')
        uploads = gr.File(
            label="NIfTI, DICOM or zip, PNG, JPEG", file_count="multiple", height=150, elem_id="rr-uploads"
        )
        study = _markup("", "rr-study")
        series = gr.Dropdown(label="Series", choices=[], visible=False, elem_id="rr-series")
        modality = gr.Dropdown([ANY_MODALITY, *MODALITIES], value=ANY_MODALITY, label="Modality", elem_id="rr-modality")
        _markup('<h2 class="rr-title">Sample cases</h2>')
        with gr.Row(elem_id="rr-samples"):
            samples = [gr.Button(s.title, size="sm", min_width=110) for s in SAMPLES]
        new = gr.Button("New reading", size="sm", elem_id="rr-new")
    return (
        {"uploads": uploads, "study": study, "series": series, "new": new},
        {"modality": modality, "samples": samples},
    )


def _conversation() -> tuple[dict[str, Any], dict[str, Any]]:
    import gradio as gr

    with gr.Column(elem_id="rr-main", scale=1):
        with gr.Column(elem_id="rr-talk"):
            history = _markup(EMPTY, "rr-history")
            steps = _markup("", "rr-now")
        with gr.Row(visible=False, elem_id="rr-decision") as decision:
            approve = gr.Button("Run this plan", variant="primary", size="sm")
            reject = gr.Button("Do not run it", size="sm")
        with gr.Row(elem_id="rr-examples") as examples_row:
            examples = [gr.Button(e, size="sm") for e in EXAMPLES]
        with gr.Row(elem_id="rr-composer"):
            request = gr.Textbox(
                placeholder=ASK, show_label=False, container=False, lines=1, max_lines=6, scale=1,
                elem_id="rr-request", label="Request",
            )  # fmt: skip
            ask = gr.Button("Ask", variant="primary", scale=0, min_width=84, elem_id="rr-ask")
            stop = gr.Button("Stop", variant="stop", scale=0, min_width=84, visible=False, elem_id="rr-stop")
    return (
        {
            "history": history, "steps": steps, "request": request, "ask": ask, "stop": stop,
            "decision": decision, "examples": examples_row,
        },
        {"examples": examples, "approve": approve, "reject": reject},
    )  # fmt: skip


def _wire(page: Page, parts: Parts, controls: Controls) -> None:
    events = _Events(page, parts)
    private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    runs = private | {"concurrency_limit": CONCURRENT_RUNS, "concurrency_id": "runs"}
    study = [parts.study_state, parts.state]
    shown = [parts.study_state, parts.study, parts.series]
    for change in (parts.uploads.upload, parts.uploads.delete, parts.uploads.clear):
        change(events.on_uploads, [*study, parts.uploads], shown, **private)
    for button, sample in zip(controls.samples, SAMPLES, strict=True):
        button.click(partial(events.on_sample, sample), study, shown, **private)
    for button, example in zip(controls.examples, EXAMPLES, strict=True):
        button.click(partial(str, example), [], [parts.request], queue=False, **private)
    outputs = list(parts)
    asked = [*study, parts.request, controls.modality, parts.series]
    for trigger in (parts.ask.click, parts.request.submit):
        begun = trigger(events.on_begin, asked, outputs, queue=False, **private)
        begun.success(events.on_ask, study, outputs, **runs)
    for button, approve in ((controls.approve, True), (controls.reject, False)):
        button.click(partial(events.on_decide, approve), study, outputs, **runs)
    parts.stop.click(page.stop, [parts.state], [], queue=False, **private)
    parts.new.click(events.on_new, [], outputs, queue=False, **private)


class _Events:
    """Turns the page's values into updates of its components."""

    def __init__(self, page: Page, parts: Parts) -> None:
        self._page = page
        self._parts = parts

    def on_uploads(self, study: StudyState, state: PageState, paths: list[str] | None) -> tuple[Any, ...]:
        """Look at what was uploaded."""
        return self._brought(self._page.take_uploads(study, paths), state)

    def on_sample(self, sample: Sample, study: StudyState, state: PageState) -> tuple[Any, ...]:
        """Attach a sample case."""
        import gradio as gr

        try:
            return self._brought(self._page.take_sample(study, sample), state)
        except KnowledgeError as error:
            raise gr.Error(text(error), duration=None, print_exception=False) from error

    def _brought(self, study: StudyState, state: PageState) -> tuple[Any, ...]:
        import gradio as gr

        choices = [c for b in study.brought for c in b.choices]
        series = gr.Dropdown(choices=choices, value=choices[0] if choices else None, visible=bool(choices))
        return study, self._page.study_html(study, state), series

    def on_begin(
        self, study: StudyState, state: PageState, request: str, modality: str, series: str | None
    ) -> dict[Any, Any]:
        """Show the request at once, before the queue lets it run."""
        import gradio as gr

        if not request.strip():
            return {self._parts.request: gr.Textbox(value="", placeholder=NOTHING_ASKED)}
        attaches = self._page.attachments(study, modality, series)
        state = replace(state, asked=request.strip(), attaches=attaches)
        p, waiting = self._parts, RunView(request=state.asked)
        emptied = {
            p.request: gr.Textbox(value="", placeholder=ASK),
            p.uploads: gr.File(value=None),
            p.study_state: StudyState(),
        }
        return self._all(StudyState(), state, waiting) | emptied

    async def on_ask(self, study: StudyState, state: PageState) -> AsyncGenerator[dict[Any, Any]]:
        """Run the request; each update shows the run as far as it is."""
        if not state.asked:
            yield {self._parts.state: state}
            return
        async with aclosing(self._follow(study, self._page.ask(state))) as updates:
            async for update in updates:
                yield update

    async def on_decide(self, approve: bool, study: StudyState, state: PageState) -> AsyncGenerator[dict[Any, Any]]:
        """Run the plan that waits, or reject it."""
        async with aclosing(self._follow(study, self._page.decide(state, approve=approve))) as updates:
            async for update in updates:
                yield update

    async def _follow(
        self, study: StudyState, run: AsyncGenerator[tuple[PageState, RunView]]
    ) -> AsyncGenerator[dict[Any, Any]]:
        state, view, first = PageState(), RunView(), True
        async with aclosing(run):
            async for state, view in run:
                yield self._all(study, state, view) if first else {self._parts.steps: self._now(view)}
                first = False
        state = replace(state, turns=(*state.turns, view), asked="", attaches=())
        yield self._all(study, state, None)

    def on_new(self) -> dict[Any, Any]:
        """Begin a new reading; the old one stays on disk."""
        import gradio as gr

        p = self._parts
        emptied = {p.uploads: gr.File(value=None), p.study_state: StudyState()}
        return self._all(StudyState(), PageState(), None) | emptied

    def _now(self, view: RunView) -> str:
        return f'<section class="rr-turn">{request_html(view)}{progress_html(view, time.time())}</section>'

    def _all(self, study: StudyState, state: PageState, view: RunView | None) -> dict[Any, Any]:
        """Return every update; `view` is the run that goes on, None between runs."""
        import gradio as gr

        p, running = self._parts, view is not None
        last = state.turns[-1].answer if state.turns else None
        waits = not running and last is not None and last.outcome == "waiting"
        return {
            p.state: state,
            p.history: self._page.history_html(state) if state.turns or not running else "",
            p.steps: self._now(view) if view else "",
            p.ask: gr.Button(visible=not running),
            p.stop: gr.Button(visible=running),
            p.new: gr.Button(interactive=not running),
            p.decision: gr.Row(visible=waits),
            p.examples: gr.Row(visible=not running and not state.turns),
            p.study: self._page.study_html(study, state),
            p.series: gr.Dropdown(visible=any(b.choices for b in study.brought)),
        }
