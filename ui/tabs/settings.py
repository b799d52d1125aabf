"""The tab Settings: the language model and what may leave to it, models, past reports, PACS, memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from agent.errors import RunError
from ui.components.settings import fixed_html, preview_html, told_html
from ui.page import Page, PageState, StudyState
from ui.preferences import Preferences, Wish
from ui.room import PRIVATE, Quiet, Shared, Updates
from ui.upkeep import Upkeep
from ui.view import RunView

NOT_YOURS = "Only a person named in READINGROOM_ADMINS may do this here."
POLICIES = [
    ("as the address asks for", ""),
    ("everything (a model on this machine)", "local"),
    ("text with pseudonyms, no pictures", "remote-deidentified"),
    ("everything, written down", "remote-allowed"),
]
APPROVALS = [
    ("runs at once", "auto"),
    ("always waits for me", "ask-before-running"),
    ("waits before it exports or sends", "ask-before-export"),
]


class SettingsTab(Quiet):
    """What this page works with. Whatever takes time to find out is asked when the tab is opened."""

    def __init__(self, page: Page) -> None:
        self._preferences = Preferences(page.assistant)
        self._upkeep = Upkeep(page.assistant)
        with gr.Tab("Settings", id="settings", elem_id="rr-tab-settings") as self.tab:
            self._model_form()
            self._models()
            self._reports()
            self._pacs()
            with gr.Accordion("Memory", open=False):
                self.memory = _html("rr-memory")

    def _model_form(self) -> None:
        fixed, settings = self._preferences.fixed(), self._preferences.settings
        with gr.Accordion("Language model", open=True):
            with gr.Row():
                self.url = gr.Textbox(
                    settings.llm_base_url or "", label="Address", placeholder="http://127.0.0.1:11434/v1",
                    info="Of an OpenAI-compatible server. Empty: the small model inside this program.",
                    interactive="llm_base_url" not in fixed, elem_id="rr-llm-url",
                )  # fmt: skip
                self.model = gr.Textbox(
                    settings.llm_model or "",
                    label="Model",
                    interactive="llm_model" not in fixed,
                    elem_id="rr-llm-model",
                )
                self.key = gr.Textbox(
                    "", label="Key", type="password", interactive="llm_api_key" not in fixed, elem_id="rr-llm-key",
                    info="One is kept; it is never shown." if settings.llm_api_key else "None is kept.",
                )  # fmt: skip
            with gr.Row():
                self.egress = gr.Dropdown(
                    POLICIES, value=settings.egress or "", label="What may leave to it",
                    interactive="egress" not in fixed, elem_id="rr-egress",
                )  # fmt: skip
                self.approval = gr.Dropdown(
                    APPROVALS, value=settings.approval, label="A plan",
                    interactive="approval" not in fixed, elem_id="rr-approval",
                )  # fmt: skip
            gr.HTML(fixed_html(fixed), elem_id="rr-fixed", apply_default_css=False)
            self.preview = _html("rr-preview")
            with gr.Row():
                self.test = gr.Button("Test", size="sm", elem_id="rr-llm-test")
                self.save = gr.Button("Keep", size="sm", variant="primary", elem_id="rr-llm-save")
            self.told = _html("rr-llm-told")

    def _models(self) -> None:
        with gr.Accordion("Models behind the tools", open=False):
            self.models = _html("rr-models")
            with gr.Row():
                self.card = gr.Dropdown([], label="Model", elem_id="rr-card")
                self.place = gr.Textbox(
                    label="Weights from", info="Folder, file, zip, address or hf:OWNER/NAME. Empty: as its card says."
                )
            with gr.Row():
                self.get = gr.Button("Get its weights", size="sm", elem_id="rr-card-get")
                self.check = gr.Button("Load it and try it once", size="sm", elem_id="rr-card-check")
            self.models_told = _html("rr-models-told")

    def _reports(self) -> None:
        with gr.Accordion("Past reports", open=False):
            self.reports = _html("rr-reports")
            self.brought = gr.File(
                label="Reports: text, tables, PDF, DOCX, FHIR, HL7 or DICOM SR", file_count="multiple", height=120,
                elem_id="rr-reports-files",
            )  # fmt: skip
            self.ingest = gr.Button("Store them, patient identifiers taken out", size="sm", elem_id="rr-ingest")
            self.reports_told = _html("rr-reports-told")

    def _pacs(self) -> None:
        with gr.Accordion("PACS", open=False):
            self.pacs = _html("rr-pacs")
            self.echo = gr.Button("Ask whether they answer", size="sm", elem_id="rr-pacs-test")
            self.pacs_told = _html("rr-pacs-told")

    def outputs(self) -> list[Any]:
        """Return nothing: settings do not follow the reading."""
        return []

    def updates(self, study: StudyState, state: PageState, view: RunView | None) -> Updates:
        """Return nothing: settings do not follow the reading."""
        del study, state, view
        return {}

    def wire(self, shared: Shared) -> None:
        """Wire the forms; who may change something is asked each time."""
        owners = shared.owners
        wish = [self.url, self.model, self.key, self.egress, self.approval]

        def guarded(work: Any) -> Any:
            async def run(who: gr.Request, *given: Any) -> AsyncGenerator[str]:
                if not owners.may_change_settings(who):
                    yield told_html(NOT_YOURS, is_good=False)
                    return
                async with aclosing(work(*given)) as updates:
                    async for update in updates:
                        yield update

            return run

        self.tab.select(self._opened, [], [self.models, self.card, self.reports, self.pacs, self.memory], **PRIVATE)
        self.tab.select(self._previewed, wish, [self.preview], **PRIVATE)
        for part in (self.url.blur, self.model.blur, self.egress.change):
            part(self._previewed, wish, [self.preview], **PRIVATE)
        self.test.click(guarded(self._test), wish, [self.told], **PRIVATE)
        kept = self.save.click(guarded(self._keep), wish, [self.told], **PRIVATE)
        kept.then(self._emptied, [], [self.key], **PRIVATE)
        self.get.click(guarded(self._upkeep.get), [self.card, self.place], [self.models_told], **PRIVATE)
        self.check.click(guarded(self._upkeep.check), [self.card], [self.models_told], **PRIVATE)
        stored = self.ingest.click(guarded(self._upkeep.ingest), [self.brought], [self.reports_told], **PRIVATE)
        stored.then(self._upkeep.reports_html, [], [self.reports], **PRIVATE)
        self.echo.click(guarded(self._upkeep.echo), [], [self.pacs_told], **PRIVATE)

    def _opened(self) -> tuple[Any, ...]:
        names = self._upkeep.model_names()
        return (
            self._upkeep.models_html(),
            gr.Dropdown(choices=names, value=names[0] if names else None),
            self._upkeep.reports_html(),
            self._upkeep.pacs_html(),
            self._upkeep.memory_html(),
        )

    def _previewed(self, *given: str) -> str:
        try:
            return preview_html(*self._preferences.preview(Wish(*(g or "" for g in given))))
        except RunError as error:
            return told_html(str(error), is_good=False)

    async def _test(self, *given: str) -> AsyncGenerator[str]:
        from ui.longwork import shown

        wish = Wish(*(g or "" for g in given))
        async with aclosing(shown("asking", lambda tell: self._preferences.try_out(wish))) as updates:
            async for update in updates:
                yield update

    async def _keep(self, *given: str) -> AsyncGenerator[str]:
        try:
            self._preferences.keep(Wish(*(g or "" for g in given)))
        except RunError as error:
            yield told_html(str(error), is_good=False)
        else:
            yield told_html("Kept; the next request uses it.", is_good=True)

    def _emptied(self) -> Any:
        has_key = self._preferences.settings.llm_api_key is not None
        return gr.Textbox(value="", info="One is kept; it is never shown." if has_key else "None is kept.")


def _html(elem_id: str) -> gr.HTML:
    return gr.HTML("", elem_id=elem_id, apply_default_css=False)
