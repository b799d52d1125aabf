"""What happens on the page, as values: no component is known here, and no decision is made: the assistant decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.again import again_stream
from agent.attach import REPORT_SUFFIXES, Attach
from agent.errors import ReadingError
from agent.history import turns_of
from ui.choosing import Chosen, waiting, with_brought
from ui.components.files import files_tab_html
from ui.components.pause import pause_html
from ui.components.study import EMPTY, attached_html, brought_html
from ui.components.turn import figures_html, progress_html, request_html, results_html
from ui.looking import Looking
from ui.reporting import Reporting
from ui.samples import Sample, sample_path
from ui.shelf import Shelf
from ui.streaming import GoingRun, GoingRuns, Start
from ui.uploads import Brought, ReadingLimits, amount_of, bring, held_by
from ui.view import AttachmentView, RunView, resumed, view_of
from ui.viewing.pictures import Preview, previews_of
from ui.viewing.pointed import prompts_of

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.assistant import Assistant, Decision
    from agent.events import AnyEvent
    from agent.plan import Plan
    from tools.workspace import Artifact
    from ui.viewing.pointed import Pin

OnEvent = Callable[["AnyEvent"], None]
ANY_MODALITY = "as the file says"
MAX_EARLIER = 30  # readings in the list of cases


@dataclass(frozen=True)
class StudyState:
    """What one browser tab will attach with its next request."""

    brought: tuple[Brought, ...] = ()
    modality_of: tuple[tuple[str, str], ...] = ()
    """(path, DICOM code or nothing) of samples and folders: they stay when the list of uploaded files changes."""
    chosen: tuple[Chosen, ...] = ()
    """Which series go with it, where there are several."""
    priors: tuple[str, ...] = ()
    """Names of those that are earlier studies, as `ui.choosing.studies` has them."""
    pointed: tuple[Pin, ...] = ()
    """What the person pointed at in the viewer for the next request."""
    given: int = 0
    """The last number that was given to something brought."""

    @property
    def emptied(self) -> StudyState:
        """The state when all of it has gone with a request."""
        return StudyState(given=self.given)


@dataclass(frozen=True)
class PageState:
    """What one browser tab has asked: its reading and its turns."""

    reading: str = ""
    turns: tuple[RunView, ...] = ()
    asked: str = ""
    """The request that is about to run, and what it attaches."""
    attaches: tuple[Attach, ...] = ()
    waited: tuple[str, ...] = ()
    """What the viewer called each of them until now."""
    pointed: tuple[Pin, ...] = ()
    run: str = ""
    """Id of the run that goes on; empty between runs."""
    seen: int = 0
    """Length of the reading's record when it was read: a longer one has news."""

    @property
    def attached(self) -> list[AttachmentView]:
        """The attachments of the reading."""
        return [a for turn in self.turns for a in turn.attachments]


class Page:
    """What the page's events do, without any component: everything goes in and comes out as values."""

    def __init__(self, assistant: Assistant, shelf: Shelf) -> None:
        self._assistant = assistant
        self._shelf = shelf
        self.runs = GoingRuns()
        self.look = Looking(assistant, self.link)
        self.report = Reporting(assistant)

    @property
    def assistant(self) -> Assistant:
        """The assistant that answers."""
        return self._assistant

    # --- what is attached

    @property
    def limits(self) -> ReadingLimits:
        """What one reading may hold."""
        settings = self._assistant.settings
        return ReadingLimits(settings.max_upload_files, settings.max_upload_mb)

    def take_uploads(self, study: StudyState, paths: Sequence[str] | None, reading: str = "") -> StudyState:
        """Look at uploaded files; samples that were chosen before stay."""
        samples = tuple(b for b in study.brought if str(b.path) in dict(study.modality_of))
        return with_brought(study, (*samples, *self._brought(paths, samples, reading)))

    def take_folder(self, study: StudyState, paths: Sequence[str] | None, reading: str = "") -> StudyState:
        """Look at the files of a folder; what was brought before stays."""
        found = self._brought(paths, study.brought, reading)
        kept = tuple((str(b.path), "") for b in found)
        return replace(with_brought(study, study.brought + found), modality_of=study.modality_of + kept)

    def _brought(self, paths: Sequence[str] | None, before: Sequence[Brought], reading: str) -> tuple[Brought, ...]:
        """Look at files, as far as the reading may hold them beside what it has and what was brought before."""
        if not paths:
            return ()
        held = amount_of(item.path for item in before if not item.problem)
        if reading:
            held = held.plus(held_by(self._assistant.workspace(reading)))
        return tuple(bring([Path(p) for p in paths], self.limits, held))

    def earlier(self, readings: Sequence[str]) -> list[tuple[str, str]]:
        """Return the readings that were asked something, each with its first request."""
        found = []
        for reading in readings:
            lines = self._assistant.record(reading).lines()
            asked = next((line["request"] for line in lines if line["event"] == "turn" and line.get("request")), None)
            if asked:
                found.append((reading, str(asked)))
            if len(found) == MAX_EARLIER:
                break
        return found

    def take_sample(self, study: StudyState, sample: Sample) -> StudyState:
        """Attach a sample case; fetches it first where it is not cached.

        Raises:
            KnowledgeError: it can't be fetched.
        """
        path = sample_path(self._assistant.assets, sample)
        if any(b.path == path for b in study.brought):
            return study
        known = (*study.modality_of, (str(path), sample.modality))
        return replace(with_brought(study, (*study.brought, Brought(path, sample.title))), modality_of=known)

    def asked(self, state: PageState, request: str, study: StudyState, modality: str) -> PageState:
        """Return the state with what is about to be asked: the request, what it attaches, what it points at.

        Args:
            state: the reading.
            request: what the person asks.
            study: what was brought.
            modality: DICOM code for files that do not say, or `ANY_MODALITY`.
        """
        said = None if modality == ANY_MODALITY else modality
        stated, waits = dict(study.modality_of), waiting(study)
        attaches = tuple(
            Attach(
                w.item.path,
                series=str(w.series.number) if w.series else None,
                modality=stated.get(str(w.item.path)) or said,
                prior=w.study in study.priors,
            )
            for w in waits
        )
        waited = tuple(w.id for w in waits)
        return replace(state, asked=request.strip(), attaches=attaches, waited=waited, pointed=study.pointed)

    # --- runs

    def begin(self) -> str:
        """Make an empty reading and return its id."""
        return self._assistant.begin()

    def opened(self, reading: str) -> PageState:
        """Return a reading as its record has it, for a page that was loaded anew.

        Raises:
            ReadingError: no such reading.
        """
        seen = self._size(reading)  # asked first: what comes after is news
        turns = tuple(view_of(t.request, reading, t.events, t.answer) for t in turns_of(self._assistant, reading))
        going = self.runs.going(reading)
        if going is not None:
            return PageState(reading=reading, turns=turns[: going.turns_before], run=going.id, seen=seen)
        return PageState(reading=reading, turns=turns, seen=seen)

    def ask(self, state: PageState) -> PageState:
        """Start the request of the state.

        Raises:
            ReadingError: the reading is running already.
        """
        request, attachments = state.asked, state.attaches
        pointed = prompts_of(state.pointed, self.becomes(state))
        state = replace(state, reading=state.reading or self._assistant.begin())
        state = replace(state, asked="", attaches=(), waited=(), pointed=())

        def start(on_event: OnEvent) -> Answer:
            return self._assistant.ask(request, attachments, reading=state.reading, pointed=pointed, on_event=on_event)

        return self._started(state, RunView(request=request, reading=state.reading), start)

    def becomes(self, state: PageState) -> dict[str, str]:
        """Return the ids that uploads get when they are attached, by the ids that the viewer gave them."""
        if not state.waited:  # nothing was brought on the page
            return {}
        known = self._assistant.workspace(state.reading).attachments() if state.reading else []
        first = 1 + sum(a.facts.kind == "image" for a in known)
        waited = zip(state.waited, state.attaches, strict=True)
        images = [name for name, a in waited if Path(a.path).suffix.lower() not in REPORT_SUFFIXES]
        return {name: f"img{number}" for number, name in enumerate(images, first)}

    def decide(
        self, state: PageState, decision: Decision, *, comment: str | None = None, plan: Plan | None = None
    ) -> PageState:
        """Start what was decided on the plan that waits.

        Raises:
            ReadingError: it was decided on elsewhere, or the plan is another one now.
        """
        shown = state.turns[-1] if state.turns else None
        if not self._assistant.is_waiting(state.reading):
            raise ReadingError("This plan was decided on already, in another tab. Here is what came of it.")
        waits = self._assistant.answer(state.reading).pause
        if shown is None or (shown.pause and waits and shown.pause.plan != waits.plan):
            raise ReadingError("The plan was changed in another tab. Look at it again before you decide.")

        def start(on_event: OnEvent) -> Answer:
            return self._assistant.resume(
                state.reading, decision=decision, comment=comment, plan=plan, on_event=on_event
            )

        return self._started(replace(state, turns=state.turns[:-1]), resumed(shown), start)

    def go_on(self, state: PageState) -> PageState:
        """Go on with a turn that was cut off; finished steps are not run again.

        Raises:
            ReadingError: the reading is running already.
        """
        if self._assistant.is_waiting(state.reading):
            raise ReadingError("The plan of this reading waits for a decision.")
        cut_off = resumed(state.turns[-1])

        def start(on_event: OnEvent) -> Answer:
            return self._assistant.resume(state.reading, on_event=on_event)

        return self._started(replace(state, turns=state.turns[:-1]), cut_off, start)

    def run_again(self, state: PageState, step: str, model: str | None) -> PageState:
        """Run a step again, with another model if one is named, and what was built on it.

        Raises:
            ReadingError: there is no such step, or the reading is running or waits for a decision.
        """
        request, events = again_stream(self._assistant, state.reading, step, model)

        def start(on_event: OnEvent) -> Answer:
            for event in events:
                on_event(event)
            return self._assistant.answer(state.reading)

        return self._started(state, RunView(request=request, reading=state.reading), start)

    def _started(self, state: PageState, view: RunView, start: Start) -> PageState:
        run = GoingRun(view, start, turns_before=len(state.turns))
        self.runs.start(run)
        return replace(state, run=run.id)

    def run_of(self, state: PageState) -> GoingRun | None:
        """Return the run that a page must show: its own, or one that another tab started."""
        own = self.runs.recent(state.run) if state.run else None
        return own or (self.runs.going(state.reading) if state.reading else None)

    def ended(self, state: PageState, view: RunView) -> PageState:
        """Return the state after a run."""
        size = self._size(state.reading)
        reading = state.reading if size else ""  # its first file was refused: nothing was kept of it
        return replace(state, reading=reading, turns=(*state.turns, view), run="", seen=size)

    def has_news(self, state: PageState, tab: str) -> bool:
        """Return whether something happened to a reading that its tab does not show: in another tab, or elsewhere."""
        if not state.reading:
            return False
        going = self.runs.going(state.reading) or (self.runs.recent(state.run) if state.run else None)
        if going is not None:  # also one that has ended, where its tab was never told
            return tab not in going.lookers
        return bool(state.run) or self._size(state.reading) != state.seen

    def _size(self, reading: str) -> int:
        try:
            return self._assistant.record(reading).path.stat().st_size
        except OSError:
            return 0

    def stop(self, state: PageState) -> None:
        """Stop the run of this reading, or take it out of the line."""
        if state.reading and not self.runs.leave_line(state.reading):
            self._assistant.cancel(state.reading)

    # --- what is shown

    def turn_html(self, state: PageState, view: RunView) -> str:
        """Return one finished turn."""
        pause = ""
        if view.pause is not None and view.answer is not None and view.answer.outcome == "waiting":
            pause = pause_html(view.pause, self.look.costs(state.reading, view.pause.plan))
        shown = pause or progress_html(view, time.time())
        return request_html(view) + shown + results_html(view)

    def history_html(self, state: PageState) -> str:
        """Return every finished turn, or what an empty page says."""
        return "".join(f'<section class="rr-turn">{self.turn_html(state, t)}</section>' for t in state.turns) or EMPTY

    def attached_html(self, state: PageState, view: RunView | None, gone: Sequence[Preview]) -> str:
        """Return what the reading has.

        Args:
            state: the reading.
            view: the run that goes on; None: none.
            gone: what went with its request.
        """
        attached = {a.facts.id: a for a in (*state.attached, *(view.attachments if view else ()))}
        coming = [p for p in gone if view and p.becomes and p.becomes not in attached]
        return attached_html(attached.values(), coming, state.reading)

    def brought_html(self, study: StudyState, state: PageState) -> str:
        """Return what the next request will attach."""
        return brought_html(study.brought, state.reading, previews_of(study), study.chosen)

    def pictures_html(self, state: PageState) -> str:
        """Return the pictures that the last answer made."""
        answer = last_answer(state)
        return figures_html(answer, lambda path: self.link(path, Path(answer.folder))) if answer else ""

    def artifacts(self, state: PageState) -> list[Artifact]:
        """Return every result of the reading."""
        return self._assistant.workspace(state.reading).artifacts() if state.reading else []

    def files_html(self, state: PageState) -> str:
        """Return the files of the reading, with their addresses."""
        if not state.reading:
            return ""
        folder = self._assistant.workspace(state.reading).root
        return files_tab_html(self.artifacts(state), folder, lambda path: self.link(path, folder))

    def folder(self, state: PageState) -> Path:
        """Return the folder of the reading."""
        return self._assistant.workspace(state.reading).root

    def read_again(self, state: PageState) -> PageState:
        """Return a state that has seen what the person just did to its reading by hand."""
        return replace(state, seen=self._size(state.reading))

    def link(self, path: Path, folder: Path) -> str:
        """Return the address of a file in a reading's folder."""
        return self._shelf.put(path, folder)


def last_answer(state: PageState) -> Answer | None:
    """Return the last answer that is more than a plan that waits."""
    answers = [t.answer for t in state.turns if t.answer and t.answer.outcome != "waiting"]
    return answers[-1] if answers else None
