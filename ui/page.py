"""What happens on the page, as values: no component is known here, and no decision is made: the assistant decides."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.attach import Attach
from ui.components.study import EMPTY, brought_html
from ui.components.turn import figures_html, files_html, progress_html, request_html, results_html
from ui.samples import Sample, sample_path
from ui.shelf import Shelf
from ui.streaming import Start, views
from ui.uploads import Brought, bring
from ui.view import AttachmentView, RunView

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.assistant import Assistant
    from ui.components.turn import LinkTo

ANY_MODALITY = "as the file says"


@dataclass(frozen=True)
class StudyState:
    """What one browser tab will attach with its next request."""

    brought: tuple[Brought, ...] = ()
    modality_of: tuple[tuple[str, str], ...] = ()
    """(path, DICOM code or nothing) of the samples."""


@dataclass(frozen=True)
class PageState:
    """What one browser tab has asked: its reading and its turns."""

    reading: str = ""
    turns: tuple[RunView, ...] = ()
    asked: str = ""
    """The request that is about to run, and what it attaches."""
    attaches: tuple[Attach, ...] = ()

    @property
    def attached(self) -> list[AttachmentView]:
        """The attachments of the reading."""
        return [a for turn in self.turns for a in turn.attachments]


class Page:
    """What the page's events do, without any component: everything goes in and comes out as values."""

    def __init__(self, assistant: Assistant, shelf: Shelf) -> None:
        self._assistant = assistant
        self._shelf = shelf

    # --- what is attached

    def take_uploads(self, study: StudyState, paths: Sequence[str] | None) -> StudyState:
        """Look at uploaded files; samples that were chosen before stay."""
        samples = tuple(b for b in study.brought if str(b.path) in dict(study.modality_of))
        return replace(study, brought=samples + tuple(bring([Path(p) for p in paths or ()])))

    def take_sample(self, study: StudyState, sample: Sample) -> StudyState:
        """Attach a sample case; fetches it first where it is not cached.

        Raises:
            KnowledgeError: it can't be fetched.
        """
        path = sample_path(self._assistant.assets, sample)
        if any(b.path == path for b in study.brought):
            return study
        known = (*study.modality_of, (str(path), sample.modality))
        return replace(study, brought=(*study.brought, Brought(path, sample.title)), modality_of=known)

    def attachments(self, study: StudyState, modality: str, series: str | None) -> tuple[Attach, ...]:
        """Return what the next request attaches.

        Args:
            study: what was brought.
            modality: DICOM code for files that do not say, or `ANY_MODALITY`.
            series: the chosen line of `Brought.choices`.
        """
        said = None if modality == ANY_MODALITY else modality
        number = series.partition(":")[0] if series else None
        stated = dict(study.modality_of)
        return tuple(
            Attach(b.path, series=number if b.choices else None, modality=stated.get(str(b.path)) or said)
            for b in study.brought
            if not b.problem
        )

    # --- runs

    def begin(self) -> str:
        """Make an empty reading and return its id."""
        return self._assistant.begin()

    async def ask(self, state: PageState) -> AsyncGenerator[tuple[PageState, RunView]]:
        """Run the request of the state and yield the state with the run as far as it is."""
        reading = state.reading or self._assistant.begin()
        request, attachments = state.asked, state.attaches
        state = replace(state, reading=reading)

        def start(on_event: Any) -> Any:
            return self._assistant.ask(request, attachments, reading=reading, on_event=on_event)

        async with aclosing(self._run(RunView(request=request, reading=reading), start)) as run:
            async for view in run:
                yield state, view

    async def decide(self, state: PageState, *, approve: bool) -> AsyncGenerator[tuple[PageState, RunView]]:
        """Go on with the plan that waits, or reject it."""
        last = state.turns[-1]
        state = replace(state, turns=state.turns[:-1])
        first = replace(last, answered=None, failed=None, answer=None)

        def start(on_event: Any) -> Any:
            decision: Any = "approve" if approve else "reject"
            return self._assistant.resume(state.reading, decision=decision, on_event=on_event)

        async with aclosing(self._run(first, start)) as run:
            async for view in run:
                yield state, view

    async def _run(self, first: RunView, start: Start) -> AsyncGenerator[RunView]:
        view = first
        try:
            async for view in views(first, start):
                yield view
        finally:
            if not view.is_over:  # the tab was closed: stop, what has finished is kept
                self._assistant.cancel(view.reading)

    def stop(self, state: PageState) -> None:
        """Stop the run of this tab."""
        if state.reading:
            self._assistant.cancel(state.reading)

    def leave(self, state: PageState) -> None:
        """Stop lending the files of a reading whose tab is gone."""
        if state.reading:
            self._shelf.take_back(self._assistant.workspace(state.reading).root)

    # --- what is shown

    def turn_html(self, view: RunView) -> str:
        """Return one finished turn."""
        return request_html(view) + progress_html(view, time.time()) + self.results(view)

    def history_html(self, state: PageState) -> str:
        """Return every finished turn, or what an empty page says."""
        return "".join(f'<section class="rr-turn">{self.turn_html(t)}</section>' for t in state.turns) or EMPTY

    def results(self, view: RunView) -> str:
        """Return what a run made, with addresses of its files."""
        if view.answer is None and view.failed is None:
            return ""
        folder = Path(view.answer.folder) if view.answer else Path()
        return results_html(view, lambda path: self._shelf.put(path, folder))

    def study_html(self, study: StudyState, state: PageState) -> str:
        """Return what is attached and what will be."""
        return brought_html(study.brought, state.attached)

    def pictures_html(self, state: PageState) -> str:
        """Return the pictures that the last answer made."""
        answer = next((t.answer for t in reversed(state.turns) if t.answer), None)
        return figures_html(answer, self._link_to(answer)) if answer else ""

    def files_html(self, answer: Answer) -> str:
        """Return the files of an answer, with their addresses."""
        return files_html(answer, self._link_to(answer))

    def _link_to(self, answer: Answer) -> LinkTo:
        return lambda path: self._shelf.put(path, Path(answer.folder))

    def settings_lines(self) -> list[tuple[str, str]]:
        """Return what the page runs with: a name and a value a line."""
        settings = self._assistant.settings
        return [("Readings lie in", str(settings.readings_dir)), ("Device", settings.device)]
