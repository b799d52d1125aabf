"""The list of cases: what is attached, upload, samples, earlier readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from knowledge.errors import KnowledgeError
from ui.components.html import text
from ui.components.study import earlier_html
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.samples import SAMPLES, Sample
from ui.view import RunView
from ui.viewing.pictures import Pictures, previews_of

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
            self.brought = gr.HTML("", elem_id="rr-study", apply_default_css=False)
            self.series = gr.Dropdown(label="Series to read", choices=[], visible=False, elem_id="rr-series")
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
        return [self.uploads, self.brought, self.series, self.priors, self.new]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what is attached; a run that begins empties the upload."""
        shown: Updates = {
            self.brought: self._page.study_html(study, state),
            self.series: gr.Dropdown(visible=any(b.choices for b in study.brought)),
            self.priors: gr.CheckboxGroup(visible=bool(study.brought) and _can_compare(study, state)),
            self.new: gr.Button(interactive=view is None),
        }
        return shown if study.brought else shown | {self.uploads: gr.File(value=None)}

    def wire(self, shared: Shared) -> None:
        """Wire upload, samples and the new reading."""
        study = [shared.study, shared.state]
        shown = [shared.study, shared.state, self.brought, self.series, self.priors, *shared.viewer.outputs()]

        def brought(study: StudyState, state: PageState, request: gr.Request) -> Updates:
            """Show what was brought, in the list and in the viewer."""
            state = shared.opened(state, request)
            self._pictures.expect(state.reading, previews_of(study))
            choices = [c for b in study.brought for c in b.choices]
            first = choices[0] if choices else None
            names = list(dict.fromkeys(b.name for b in study.brought if not b.problem))
            study = replace(study, priors=tuple(n for n in study.priors if n in names))
            return {
                shared.study: study,
                shared.state: state,
                self.brought: self._page.study_html(study, state),
                self.series: gr.Dropdown(choices=choices, value=first, visible=bool(choices)),
                self.priors: gr.CheckboxGroup(
                    choices=names, value=list(study.priors), visible=_can_compare(study, state)
                ),
                **shared.viewer.updates(study, state, None),
            }

        def on_uploads(study: StudyState, state: PageState, paths: list[str] | None, request: gr.Request) -> Updates:
            return brought(self._page.take_uploads(study, paths), state, request)

        def on_folder(study: StudyState, state: PageState, paths: list[str] | None, request: gr.Request) -> Updates:
            return brought(self._page.take_folder(study, paths), state, request)

        def on_priors(study: StudyState, names: list[str]) -> StudyState:
            return replace(study, priors=tuple(names))

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
        self.priors.input(on_priors, [shared.study, self.priors], [shared.study], queue=False, **PRIVATE)
        self._wire_readings(shared)

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


def _can_compare(study: StudyState, state: PageState) -> bool:
    """Return whether there are two images, so that one of them can be the earlier one."""
    return sum(not b.problem for b in study.brought) + len(state.attached) >= 2


def _title(words: str) -> None:
    gr.HTML(f'<h2 class="rr-title">{text(words)}</h2>', apply_default_css=False)
