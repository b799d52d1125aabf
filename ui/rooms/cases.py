"""The list of cases: what is attached, upload, samples, earlier readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from knowledge.errors import KnowledgeError
from ui.choosing import choose, point, studies
from ui.components.html import text
from ui.components.study import earlier_html
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.samples import SAMPLES, Sample
from ui.view import RunView
from ui.viewing.pictures import Pictures, previews_of
from ui.viewing.pointed import pointed_of

MODALITIES = ("CT", "MR", "CR", "DX", "US", "PT", "MG")


class Cases(Quiet):
    """The column at the left."""

    def __init__(self, page: Page, pictures: Pictures) -> None:
        self._page = page
        self._pictures = pictures
        with gr.Column(elem_id="rr-side", scale=0, min_width=230):
            with gr.Row(elem_id="rr-side-top"):
                _title("Case")
                self.new = gr.Button("New", size="sm", elem_id="rr-new", min_width=52, scale=0)
            with gr.Column(elem_id="rr-study", scale=0, min_width=0):
                self.attached = gr.HTML("", apply_default_css=False)
                self.brought = gr.HTML("", apply_default_css=False)
            self.chosen = gr.Textbox("", elem_id="rr-chosen", visible="hidden", label="Chosen series")
            self.pointed = gr.Textbox("", elem_id="rr-pointed", visible="hidden", label="Places pointed at")
            self.uploads = gr.File(
                label="Drop images here: NIfTI, DICOM, zip, PNG, JPEG", file_count="multiple", height=104,
                elem_id="rr-uploads",
            )  # fmt: skip
            self.folder = gr.UploadButton(
                "Choose a folder", file_count="directory", size="sm", elem_id="rr-folder"
            )  # fmt: skip
            self.priors = gr.CheckboxGroup(
                [], label="Earlier studies, to compare with", visible=False, elem_id="rr-priors"
            )
            self.modality = gr.Dropdown(
                [ANY_MODALITY, *MODALITIES], value=ANY_MODALITY, label="Modality", elem_id="rr-modality"
            )
            _title("Sample cases")
            with gr.Row(elem_id="rr-samples"):
                self.samples = [gr.Button(s.title, size="sm", min_width=90) for s in SAMPLES]
            self.earlier = gr.HTML("", elem_id="rr-earlier", apply_default_css=False)

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.uploads, self.attached, self.brought, self.priors, self.new]

    def updates(self, study: StudyState | None, state: PageState, view: RunView | None) -> Updates:
        """Return what is attached; a run that begins empties the upload."""
        shown: Updates = {
            self.attached: self._attached(state, view),
            self.new: gr.Button(interactive=view is None),
        }
        if study is None:
            return shown
        shown |= {self.brought: self._page.brought_html(study, state), self.priors: self._priors(study, state)}
        return shown if study.brought else shown | {self.uploads: gr.File(value=None)}

    def live(self, state: PageState, view: RunView) -> Updates:
        """Return what is attached, as soon as the run has taken it in."""
        return {self.attached: self._attached(state, view)} if view.attachments else {}

    def _attached(self, state: PageState, view: RunView | None) -> str:
        return self._page.attached_html(state, view, self._pictures.previews(state.reading))

    def _priors(self, study: StudyState, state: PageState) -> gr.CheckboxGroup:
        """Return the studies that may be earlier ones: there must be something to compare them with."""
        names, run = studies(study), self._page.run_of(state)
        attached = len(state.attached) + (len(run.view.attachments) if run else 0)
        shown = bool(names) and len(names) + attached >= 2
        return gr.CheckboxGroup(choices=names, value=list(study.priors), visible=shown)

    def wire(self, shared: Shared) -> None:
        """Wire upload, samples and the new reading."""
        study = [shared.study, shared.state]
        shown = [shared.study, shared.state, self.brought, self.priors, *shared.viewer.outputs()]

        def brought(study: StudyState, state: PageState, request: gr.Request) -> Updates:
            """Show what was brought, in the list and in the viewer."""
            state = shared.opened(state, request)
            self._pictures.expect(state.reading, previews_of(study))
            return {
                shared.study: study,
                shared.state: state,
                self.brought: self._page.brought_html(study, state),
                self.priors: self._priors(study, state),
                **shared.viewer.updates(study, state, None),
            }

        def on_uploads(study: StudyState, state: PageState, paths: list[str] | None, request: gr.Request) -> Updates:
            return brought(self._page.take_uploads(study, paths, state.reading), state, request)

        def on_folder(study: StudyState, state: PageState, paths: list[str] | None, request: gr.Request) -> Updates:
            return brought(self._page.take_folder(study, paths, state.reading), state, request)

        def taking(sample: Sample) -> Callable[..., Updates]:
            def on_sample(study: StudyState, state: PageState, request: gr.Request) -> Updates:
                try:
                    return brought(self._page.take_sample(study, sample), state, request)
                except KnowledgeError as error:
                    raise gr.Error(text(error), duration=None, print_exception=False) from error

            return on_sample

        for change in (self.uploads.upload, self.uploads.delete, self.uploads.clear):
            change(on_uploads, [*study, self.uploads], shown, **PRIVATE)
        self.folder.upload(on_folder, [*study, self.folder], shown, **PRIVATE)
        for button, sample in zip(self.samples, SAMPLES, strict=True):
            button.click(taking(sample), study, shown, **PRIVATE)
        self._wire_choices(shared)
        self._wire_readings(shared)

    def _wire_choices(self, shared: Shared) -> None:
        """Wire which series are attached, which studies are earlier ones, and what is pointed at."""

        def chosen(study: StudyState, state: PageState) -> Updates:
            """Take a choice; the list stays as it is, or the keyboard would lose its place in it."""
            self._pictures.expect(state.reading, previews_of(study))
            seen = shared.viewer.updates(study, state, None)
            return {shared.study: study, self.priors: self._priors(study, state), **seen}

        def on_priors(study: StudyState, state: PageState, names: list[str]) -> Updates:
            return chosen(replace(study, priors=tuple(names)), state)

        def on_chosen(study: StudyState, state: PageState, said: str) -> Updates:
            return chosen(choose(study, said), state)

        def on_pointed(study: StudyState, state: PageState, said: str) -> Updates:
            return chosen(point(study, pointed_of(said)), state)

        given, after = [shared.study, shared.state], [shared.study, self.priors, *shared.viewer.outputs()]
        self.priors.input(on_priors, [*given, self.priors], after, queue=False, **PRIVATE)
        # change, not input: Gradio calls "input" only what is typed, and these are filled by scripts
        self.chosen.change(on_chosen, [*given, self.chosen], after, queue=False, **PRIVATE)
        self.pointed.change(on_pointed, [*given, self.pointed], after, queue=False, **PRIVATE)

    def _wire_readings(self, shared: Shared) -> None:
        """Wire the new reading and the list of earlier ones."""

        def on_new() -> Updates:
            """Begin a new reading; the old one stays on disk."""
            return shared.everything(StudyState(), PageState(), None)

        def on_look(state: PageState, request: gr.Request) -> str:
            """List the readings of whoever looks at the page."""
            listed = earlier_html(self._page.earlier(shared.owners.readings(request)), state.reading)
            return f'<h2 class="rr-title">Earlier readings</h2>{listed}' if listed else ""

        self.new.click(on_new, [], shared.outputs(), queue=False, **PRIVATE).success(
            on_look, [shared.state], [self.earlier], **PRIVATE
        )
        shared.blocks.load(on_look, [shared.state], [self.earlier], **PRIVATE)


def _title(words: str) -> None:
    gr.HTML(f'<h2 class="rr-title">{text(words)}</h2>', apply_default_css=False)
