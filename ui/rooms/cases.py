"""The list of cases: what is attached, upload, samples."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from knowledge.errors import KnowledgeError
from ui.components.html import text
from ui.page import ANY_MODALITY, Page, PageState, StudyState
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.samples import SAMPLES, Sample
from ui.view import RunView

MODALITIES = ("CT", "MR", "CR", "DX", "US", "PT", "MG")


class Cases(Quiet):
    """The column at the left."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with gr.Column(elem_id="rr-side", scale=0, min_width=230):
            _title("Study")
            self.uploads = gr.File(
                label="NIfTI, DICOM or zip, PNG, JPEG", file_count="multiple", height=150, elem_id="rr-uploads"
            )
            self.brought = gr.HTML("", elem_id="rr-study", apply_default_css=False)
            self.series = gr.Dropdown(label="Series", choices=[], visible=False, elem_id="rr-series")
            self.modality = gr.Dropdown(
                [ANY_MODALITY, *MODALITIES], value=ANY_MODALITY, label="Modality", elem_id="rr-modality"
            )
            _title("Sample cases")
            with gr.Row(elem_id="rr-samples"):
                self.samples = [gr.Button(s.title, size="sm", min_width=90) for s in SAMPLES]
            self.new = gr.Button("New reading", size="sm", elem_id="rr-new")

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
        shown = [shared.study, self.brought, self.series]
        for change in (self.uploads.upload, self.uploads.delete, self.uploads.clear):
            change(self._on_uploads, [*study, self.uploads], shown, **PRIVATE)
        for button, sample in zip(self.samples, SAMPLES, strict=True):
            button.click(partial(self._on_sample, sample), study, shown, **PRIVATE)

        def on_new() -> Updates:
            """Begin a new reading; the old one stays on disk."""
            return shared.everything(StudyState(), PageState(), None)

        self.new.click(on_new, [], shared.outputs(), queue=False, **PRIVATE)

    def _on_uploads(self, study: StudyState, state: PageState, paths: list[str] | None) -> tuple[Any, ...]:
        """Look at what was uploaded."""
        return self._brought(self._page.take_uploads(study, paths), state)

    def _on_sample(self, sample: Sample, study: StudyState, state: PageState) -> tuple[Any, ...]:
        """Attach a sample case."""
        try:
            return self._brought(self._page.take_sample(study, sample), state)
        except KnowledgeError as error:
            raise gr.Error(text(error), duration=None, print_exception=False) from error

    def _brought(self, study: StudyState, state: PageState) -> tuple[Any, ...]:
        choices = [c for b in study.brought for c in b.choices]
        series = gr.Dropdown(choices=choices, value=choices[0] if choices else None, visible=bool(choices))
        return study, self._page.study_html(study, state), series


def _title(words: str) -> None:
    gr.HTML(f'<h2 class="rr-title">{text(words)}</h2>', apply_default_css=False)
