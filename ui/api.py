"""The page's actions as endpoints for programs: named, typed, documented; the same runs, the same owners.

Each takes and returns JSON. A reading is its owner's: the browser's or program's cookie, or who signed in.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from agent.attach import Attach, attach
from agent.errors import AttachmentError, ReadingError, RunError
from agent.plan import Plan
from agent.single import run_single
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.streaming import views
from ui.uploads import amount_of, held_by, uploaded
from ui.view import RunView

if TYPE_CHECKING:
    from ui.owners import Owners
    from ui.page import Page, PageState

NOT_YOURS = "no reading of yours has this id"


class Api:
    """The endpoints.

    Args:
        page: does what they ask.
        owners: knows whose the readings are.
    """

    def __init__(self, page: Page, owners: Owners) -> None:
        self._page = page
        self._owners = owners

    def wire(self) -> None:
        """Add the endpoints to the Blocks that are being built."""
        looks: dict[str, Any] = {"concurrency_limit": None}  # how many runs work at once is decided in ui/streaming.py
        for action in (self.attach, self.answer, self.readings, self.check_report, self.export, self.stop):
            gr.api(action, api_name=action.__name__, concurrency_limit=4)
        for stream in (self.ask, self.decide, self.follow):
            gr.api(stream, api_name=stream.__name__, **looks)

    # --- what is attached

    def attach(
        self, file: dict[str, Any], reading: str, modality: str, kind: str, who: gr.Request, label: str = ""
    ) -> dict[str, Any]:
        """Attach an uploaded image, mask or report to a reading.

        Args:
            file: as `gradio_client.handle_file(PATH)` gives it.
            reading: the reading's id; empty: a new one.
            modality: DICOM code (CT, MR, …) for a file that does not say; empty: as the file says.
            kind: "image", "mask" or "report"; empty: an image, or a report where it is a text.
            who: the asker.
            label: for a mask what it outlines; empty: not stated.
        """
        with _told():
            if kind not in ("", "image", "mask", "report"):
                raise AttachmentError(f"kind must be image, mask or report, got {kind!r:.40}")
            path = _uploaded(file)
            reading = self._mine(reading, who) if reading else self._begun(who)
            workspace = self._page.assistant.workspace(reading)
            if problem := self._page.limits.problem(held_by(workspace).plus(amount_of([path]))):
                raise AttachmentError(f"the reading would hold {problem}")
            given = Attach(path, modality=modality or None, kind=kind or "image", label=label)  # type: ignore[arg-type]
            made = attach(workspace, given)
        return {"reading": reading, "id": made.id, "facts": made.facts.model_dump(mode="json", exclude_defaults=True)}

    # --- runs

    async def ask(self, request: str, reading: str, who: gr.Request) -> AsyncGenerator[dict[str, Any]]:
        """Ask about a reading; yields how far the run is, then the answer.

        Args:
            request: what should be done, in plain language.
            reading: the reading's id; empty: a new one.
            who: the asker.
        """
        with _told():
            if not request.strip():
                raise ReadingError("request: write what should be done with the study")
            reading = self._mine(reading, who) if reading else self._begun(who)
            state = self._page.ask(replace(self._page.opened(reading), asked=request.strip()))
        async for update in self._seen(state):
            yield update

    async def decide(
        self, reading: str, decision: str, comment: str, plan: dict[str, Any] | None, who: gr.Request
    ) -> AsyncGenerator[dict[str, Any]]:
        """Decide on a plan that waits; yields how far the run is, then the answer.

        Args:
            reading: the reading's id.
            decision: "approve", "reject" or "edit".
            comment: with "reject": what should be different; empty: nothing is run.
            plan: with "edit": the plan to run instead, {"steps": […]}.
            who: the asker.
        """
        with _told():
            if decision not in ("approve", "reject", "edit"):
                raise ReadingError(f"decision must be approve, reject or edit, got {decision!r:.40}")
            state = self._page.opened(self._mine(reading, who))
            edited = Plan.model_validate(plan) if decision == "edit" and plan else None
            state = self._page.decide(state, decision, comment=comment or None, plan=edited)  # type: ignore[arg-type]
        async for update in self._seen(state):
            yield update

    async def follow(self, reading: str, who: gr.Request) -> AsyncGenerator[dict[str, Any]]:
        """Follow the run of a reading from wherever it is; yields the last answer where none goes on.

        Args:
            reading: the reading's id.
            who: the asker.
        """
        with _told():
            state = self._page.opened(self._mine(reading, who))
        async for update in self._seen(state):
            yield update

    def stop(self, reading: str, who: gr.Request) -> dict[str, Any]:
        """Stop the run of a reading; what has finished is kept.

        Args:
            reading: the reading's id.
            who: the asker.
        """
        with _told():
            self._page.stop(self._page.opened(self._mine(reading, who)))
        return {"reading": reading, "stopped": True}

    # --- what came of it

    def answer(self, reading: str, who: gr.Request) -> dict[str, Any]:
        """Return the last answer of a reading: sentences with their evidence, measurements, plan.

        Args:
            reading: the reading's id.
            who: the asker.
        """
        with _told():
            return self._answered(self._mine(reading, who))

    def readings(self, who: gr.Request) -> list[str]:
        """Return the ids of the asker's readings, newest first."""
        return self._owners.readings(who)

    def check_report(self, reading: str, text: str, who: gr.Request) -> dict[str, Any]:
        """Hold each sentence of a report against what was measured in a reading.

        Args:
            reading: the reading's id.
            text: the report.
            who: the asker.
        """
        with _told(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.txt"
            path.write_text(text, encoding="utf-8")
            workspace = self._page.assistant.workspace(self._mine(reading, who))
            report = attach(workspace, Attach(path, kind="report"))
            try:
                made = run_single(self._page.assistant, reading, "check_report", {"report": f"@{report.id}"})
            except BaseException:
                workspace.remove_attachment(report.id)
                raise
        return {"id": made.id, "report": report.id, **made.data}

    def export(self, reading: str, artifacts: list[str], format: str, who: gr.Request) -> dict[str, Any]:  # noqa: A002
        """Write results of a reading as files and return their addresses.

        Args:
            reading: the reading's id.
            artifacts: ids such as s1, s4.
            format: nifti, dicom-seg, dicom-sr, stl, obj, pdf, docx, html, fhir, csv, json or png.
            who: the asker.
        """
        with _told():
            args = {"artifacts": [f"@{a.removeprefix('@')}" for a in artifacts], "format": format}
            made = run_single(self._page.assistant, self._mine(reading, who), "export", args)
            folder = self._page.assistant.workspace(reading).step_folder(made.id)
            addresses = [self._page.link(folder / name, folder) for name in made.files]
        return {"id": made.id, "summary": made.summary, "files": addresses, "notes": list(made.data["notes"])}

    # --- inside

    def _begun(self, who: gr.Request) -> str:
        reading = self._page.begin()
        self._owners.claim(who, reading)
        return reading

    def _mine(self, reading: str, who: gr.Request) -> str:
        if not self._owners.owner_may(who, reading):
            raise ReadingError(NOT_YOURS)
        return reading

    async def _seen(self, state: PageState) -> AsyncGenerator[dict[str, Any]]:
        run = self._page.run_of(state)
        if run is not None:
            async for view in views(run):
                yield seen(view)
            if (failed := run.view.failed) is not None:
                raise gr.Error(failed.message, print_exception=False)
        with _told():
            last = await asyncio.to_thread(self._answered, state.reading)
        yield last

    def _answered(self, reading: str) -> dict[str, Any]:
        answer = self._page.assistant.answer(reading)
        told = answer.model_dump(mode="json", exclude={"folder", "files"})
        return {"state": "waiting" if answer.outcome == "waiting" else "ended", **told}


def seen(view: RunView) -> dict[str, Any]:
    """Return a run as far as it is, as JSON."""
    return {
        "state": "in line" if view.before else "running",
        "reading": view.reading,
        "before": view.before,
        "planning": {"by": view.planning_by, "tools": list(view.plan_writing), "checked": False}
        if view.planning_by
        else None,
        "steps": [
            {
                "id": s.id,
                "tool": s.tool,
                "state": s.state,
                "fraction": s.fraction,
                "message": s.message,
                "started_at": s.started_at,
            }
            for s in view.steps
        ],
        "writing": [
            {"step": w.step, "model": w.model, "checked": False, "sentences": list(w.sentences)} for w in view.writing
        ],
    }


def _uploaded(file: dict[str, Any]) -> Path:
    path = uploaded(str(file.get("path", "")))
    if path is None:
        raise AttachmentError("file must be an upload: gradio_client.handle_file(PATH)")
    return path


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a person can act on into the endpoint's error, in one line; a bug stays one."""
    try:
        yield
    except (RunError, ToolError, KnowledgeError, ValueError) as error:
        raise gr.Error(" ".join(str(error).split()), print_exception=False) from error
