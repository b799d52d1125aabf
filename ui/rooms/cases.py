"""The list of cases: what is attached, upload, samples, earlier readings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from knowledge.errors import KnowledgeError
from ui.components.html import text
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
            self.modality = gr.Dropdown(
                [ANY_MODALITY, *MODALITIES], value=ANY_MODALITY, label="Modality", elem_id="rr-modality"
            )
            _title("Sample cases")
            with gr.Row(elem_id="rr-samples"):
                self.samples = [gr.Button(s.title, size="sm", min_width=90) for s in SAMPLES]

    def outputs(self) -> list[Any]:
        """Return the components that follow the reading."""
        return [self.uploads, self.brought, self.series, self.new]

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return what is attached; a run that begins empties the upload."""
        shown: Updates = {
            self.brought: self._page.study_html(study, state),
            self.series: gr.Dropdown(visible=any(b.choices for b in study.brought)),
            self.new: gr.Button(interactive=view is None),
        }
        return shown if study.brought else shown | {self.uploads: gr.File(value=None)}

    def wire(self, shared: Shared) -> None:
        """Wire upload, samples and the new reading."""
        study = [shared.study, shared.state]
        shown = [shared.study, shared.state, self.brought, self.series, *shared.viewer.outputs()]

        def brought(study: StudyState, state: PageState, request: gr.Request) -> Updates:
            """Show what was brought, in the list and in the viewer."""
            state = shared.opened(state, request)
            self._pictures.expect(state.reading, previews_of(study))
            choices = [c for b in study.brought for c in b.choices]
            first = choices[0] if choices else None
            return {
                shared.study: study,
                shared.state: state,
                self.brought: self._page.study_html(study, state),
                self.series: gr.Dropdown(choices=choices, value=first, visible=bool(choices)),
                **shared.viewer.updates(study, state, None),
            }

        def on_uploads(study: StudyState, state: PageState, paths: list[str] | None, request: gr.Request) -> Updates:
            return brought(self._page.take_uploads(study, paths), state, request)

        def taking(sample: Sample) -> Callable[..., Updates]:
            def on_sample(study: StudyState, state: PageState, request: gr.Request) -> Updates:
                try:
                    return brought(self._page.take_sample(study, sample), state, request)
                except KnowledgeError as error:
                    raise gr.Error(text(error), duration=None, print_exception=False) from error

            return on_sample

        def on_new() -> Updates:
            """Begin a new reading; the old one stays on disk."""
            return shared.everything(StudyState(), PageState(), None)

        for change in (self.uploads.upload, self.uploads.delete, self.uploads.clear):
            change(on_uploads, [*study, self.uploads], shown, **PRIVATE)
        self.folder.upload(on_uploads, [*study, self.folder], shown, **PRIVATE)
        for button, sample in zip(self.samples, SAMPLES, strict=True):
            button.click(taking(sample), study, shown, **PRIVATE)
        self.new.click(on_new, [], shared.outputs(), queue=False, **PRIVATE)


def _title(words: str) -> None:
    gr.HTML(f'<h2 class="rr-title">{text(words)}</h2>', apply_default_css=False)
