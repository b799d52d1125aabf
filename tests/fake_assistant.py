"""An assistant for tests of the command line and the page: real events, workspaces and answers, scripted steps.

Nothing is planned or computed. Everything a person could see is written by hand here, canaries included.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agent.answer import Answer, answer_of, is_waiting
from agent.assistant import Attachable, new_reading_id
from agent.attach import Attach
from agent.errors import AttachmentError, ReadingError, RunError
from agent.events import (
    Answered,
    AnyEvent,
    Attached,
    Failed,
    Paused,
    Planned,
    Planning,
    Progress,
    StepFailed,
    StepFinished,
    StepStarted,
)
from agent.pausing import Pause
from agent.plan import Plan, Step
from agent.pointing import Pointed
from agent.record import RunRecord
from agent.settings import Settings
from knowledge.assets import Assets
from knowledge.search import Knowledge
from tools.errors import UnavailableError
from tools.facts import AttachmentFacts
from tools.models.hub import Hub
from tools.places import Place, Region, Span
from tools.registry import Registry
from tools.results import Claim, Draft, Hits, MaskEntry, Masks, Measurement, Measurements, ReportHit, ToolResult
from tools.workspace import Artifact, Provenance, Workspace

REPORT_SENTENCE = "The lungs are hyperexpanded with flattened diaphragms."


SEEN = Place(
    evidence="s2",
    region=Region(
        image="img1", mask="s1", target="lungs", voxel=(12.0, 20.0, 30.0), position_mm=(-80.5, 12.0, -140.25), axis=2,
        slice_index=30, plane="axial", slice_number=31, slice_count=133, lower=(2.0, 4.0, 6.0),
        upper=(40.0, 41.0, 60.0),
    ),
)  # fmt: skip
QUOTED = Place(evidence="CXR1234", span=Span(report="CXR1234", section="findings", start=0, end=len(REPORT_SENTENCE)))


def chest_story() -> list[tuple[Step, ToolResult, dict[str, bytes]]]:
    """The steps of the demo's request, each with its result and the files it writes."""
    masks = Masks(
        summary="Outlined the lungs in img1",
        image="img1",
        masks=(MaskEntry(target="lungs", file="lungs.nii.gz", voxels=1000),),
        files=("lungs.nii.gz", "key-image.png"),
        figures=("key-image.png",),
    )
    rows = (
        _measured("volume", 3701.4, "ml"),
        _measured("mean_intensity", -827.3, "HU"),
    )
    hit = ReportHit(
        report_id="CXR1234", section="findings", sentence=REPORT_SENTENCE, start=0, end=len(REPORT_SENTENCE),
        score=0.71, why="meaning close to the query", source="openi",
    )  # fmt: skip
    other = hit.model_copy(update={"report_id": "CXR88", "sentence": "Lungs are clear.", "score": 0.6})
    draft = Draft(
        summary="Draft with 2 findings",
        findings=(Claim(text="Volume of the lungs: 3,701 ml.", evidence=("s2",), kind="measured", where=(SEEN,)),),
        impression=(Claim(text="Lung volume measured; no comparison.", evidence=("s2",), kind="general"),),
        similar=(
            Claim(text=f"Another patient: “{REPORT_SENTENCE}”", evidence=("CXR1234",), kind="quoted", where=(QUOTED,)),
        ),
        limitations=(Claim(text="The mediastinum was not examined.", kind="not examined"),),
        files=("draft.md",),
    )
    return [
        (Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["lungs"]}), masks,
         {"lungs.nii.gz": b"\x1f\x8bmask", "key-image.png": picture()}),
        (Step(id="s2", tool="measure", args={"mask": "@s1", "quantities": ["volume", "intensity"]}),
         Measurements(summary="2 measurements of the lungs", rows=rows), {}),
        (Step(id="s3", tool="search_reports", args={"query": "lungs, lung volume"}),
         Hits(summary="2 reports", query="lungs", hits=(hit, other)), {}),
        (Step(id="s4", tool="draft_report", args={"evidence": ["@s1", "@s2", "@s3"]}), draft,
         {"draft.md": b"# Draft\n"}),
    ]  # fmt: skip


def _measured(quantity: str, value: float, unit: str) -> Measurement:
    return Measurement(
        target="lungs", quantity=quantity, value=value, unit=unit, image="img1", mask="s1",
        spacing_source="NIfTI pixdim", method="counted voxels",
    )  # fmt: skip


def picture(width: int = 256, height: int = 256) -> bytes:
    """A small PNG: a bright disc with a green rim on black."""
    import io

    import numpy as np
    from PIL import Image

    y, x = np.mgrid[:height, :width]
    radius = np.hypot(x - width / 2, y - height / 2) / (width / 2)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[radius < 0.8] = 110
    pixels[(radius > 0.5) & (radius < 0.56)] = (64, 220, 140)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


CHEST_CLAIMS = (
    Claim(text="Outlined in img1: lungs.", evidence=("s1",), kind="described"),
    Claim(text="Volume of the lungs: 3,701 ml.", evidence=("s2",), kind="measured"),
    Claim(text="Mean density of the lungs: −827.3 HU.", evidence=("s2",), kind="measured"),
    Claim(text=f"A stored report of another patient says: “{REPORT_SENTENCE}”", evidence=("CXR1234",), kind="quoted"),
)


@dataclass
class FakeAssistant:
    """Plays a story. Slow, failing, asking back or crashing, as the test wants."""

    settings: Settings = field(default_factory=Settings)
    outcome: str = "answered"
    claims: tuple[Claim, ...] = CHEST_CLAIMS
    held_back: tuple[str, ...] = ()
    story: Sequence[tuple[Step, ToolResult, Mapping[str, bytes]]] = field(default_factory=chest_story)
    step_seconds: float = 0.0
    busy: bool = False
    """Compute in Python during a step, as a tool that never lets go of the interpreter would."""
    fails: Mapping[str, str] = field(default_factory=dict)
    """Step id → why it fails."""
    raises: BaseException | None = None
    """Raised instead of an answer, after the plan."""
    waits: int = 0
    """How many decisions it asks for before it answers."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    cancelled: dict[str, threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))
    """Per reading."""
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        return Registry.installed()

    def open_knowledge(self) -> Knowledge:
        raise UnavailableError("no report store in this test")

    @property
    def assets(self) -> Assets:
        return Assets(self.settings.cache_dir)

    @cached_property
    def hub(self) -> Hub:
        return Hub.installed(device="cpu", weights_dir=self.settings.weights_dir, assets=self.assets)

    def use(self, settings: Settings) -> None:
        self.settings = settings

    def begin(self) -> str:
        reading = new_reading_id()
        self.workspace(reading, must_exist=False)
        return reading

    def workspace(self, reading: str, *, must_exist: bool = True) -> Workspace:
        folder = self.settings.readings_dir.absolute() / reading
        if must_exist and not folder.is_dir():
            raise ReadingError(f"no reading {reading!r}")
        return Workspace(folder)

    def cancel(self, reading: str) -> None:
        self.calls.append({"cancel": reading})
        self.cancelled[reading].set()

    def is_waiting(self, reading: str) -> bool:
        self.workspace(reading)
        return is_waiting(self.record(reading))

    def answer(self, reading: str) -> Answer:
        return answer_of(reading, self.workspace(reading), self.record(reading))

    def ask(
        self,
        request: str,
        attachments: Sequence[Attachable] = (),
        *,
        reading: str | None = None,
        pointed: Sequence[Pointed] = (),
        on_event: Callable[[AnyEvent], None] | None = None,
    ) -> Answer:
        call = {"request": request, "attachments": list(attachments), "reading": reading, "pointed": tuple(pointed)}
        self.calls.append(call)
        emit = on_event or (lambda event: None)
        reading = reading or self.begin()
        self.cancelled[reading].clear()
        workspace = self.workspace(reading)
        for item in attachments:
            given = item if isinstance(item, Attach) else Attach(item)
            path = Path(given.path)
            if not path.exists():
                message = f"{path.name!r} does not exist: check the path ({path})"
                emit(Failed(reading=reading, kind="attachment", message=message))
                raise AttachmentError(message)
            facts = AttachmentFacts(
                id=workspace.next_id(given.kind),
                kind=given.kind,
                modality=given.modality or "CT",
                modality_source="voxel values",
                dims=3,
                has_spacing=True,
            )
            workspace.add_attachment(path, facts)
            self.record(reading).append("attached", id=facts.id, name=path.name)
            emit(Attached(facts=facts, name=path.name))
        self.record(reading).append("turn", request=request, decision=None)
        return self._run(request, reading, emit)

    def resume(
        self,
        reading: str,
        *,
        decision: str = "approve",
        comment: str | None = None,
        plan: Plan | None = None,
        on_event: Callable[[AnyEvent], None] | None = None,
    ) -> Answer:
        self.calls.append({"resume": reading, "decision": decision, "comment": comment})
        self.decisions.append(decision)
        self.workspace(reading)
        self.record(reading).append("turn", request=None, decision={"decision": decision, "comment": comment})
        if decision != "approve" or plan:
            given = plan.model_dump(mode="json") if plan else None
            self.record(reading).append("decision", decision=decision, comment=comment, plan=given)
        return self._run("resumed", reading, on_event or (lambda event: None))

    def _run(self, request: str, reading: str, on_event: Callable[[AnyEvent], None]) -> Answer:
        def emit(event: AnyEvent) -> None:
            self._keep(reading, event)
            on_event(event)

        emit(Planning(by="scripted"))
        if self.step_seconds:
            time.sleep(self.step_seconds)
        if self.outcome in ("clarify", "declined"):
            return self._end(request, reading, emit, None, [])
        plan = Plan(steps=tuple(step for step, _, _ in self.story))
        emit(Planned(plan=plan, decided_by="the scripted model", seconds=0.4, estimated_seconds=14))
        if self.raises is not None:
            if isinstance(self.raises, RunError):
                emit(Failed(reading=reading, kind="test", message=str(self.raises)))
            raise self.raises
        if self.waits:
            self.waits -= 1
            return self._end(request, reading, emit, plan, [], outcome="waiting")
        failures = []
        for step, result, files in self.story:
            failure = self._step(reading, step, result, files, emit)
            failures += [failure] if failure else []
        return self._end(request, reading, emit, plan, failures)

    def _keep(self, reading: str, event: AnyEvent) -> None:
        """Write down what a real reading's record holds."""
        record = self.record(reading)
        match event:
            case Planned():
                outcome = event.plan.model_dump(mode="json")
                cost = {"seconds": event.estimated_seconds, "device_memory_mb": 0, "lacks": []}
                record.append("plan", outcome=outcome, decided_by=event.decided_by, seconds=event.seconds, cost=cost)
            case StepStarted():
                record.append("step started", step=event.step, tool=event.tool, args=event.args)
            case StepFinished():
                artifact = self.workspace(reading).artifact(event.step)
                record.append("step finished", artifact=artifact.model_dump(mode="json"))
            case StepFailed():
                record.append("step failed", step=event.step, tool=event.tool, kind=event.kind, message=event.message)
            case Failed():
                record.append("run failed", kind=event.kind, message=event.message)

    def _step(
        self, reading: str, step: Step, result: ToolResult, files: Mapping[str, bytes], emit: Callable[[AnyEvent], None]
    ) -> dict[str, str] | None:
        emit(StepStarted(step=step.id, tool=step.tool, args=step.args))
        for tenth in range(10 if self.step_seconds else 0):
            if self.busy:
                until = time.monotonic() + self.step_seconds / 10
                while time.monotonic() < until and not self.cancelled[reading].is_set():
                    sum(range(1000))
            if self.cancelled[reading].wait(0 if self.busy else self.step_seconds / 10):
                message = "the run was cancelled; what had finished is kept"
                emit(Failed(reading=reading, kind="cancelled", message=message))
                raise RunError(message)
            emit(Progress(step=step.id, fraction=(tenth + 1) / 10, message=f"slice {tenth + 1} of 10"))
        if why := self.fails.get(step.id):
            emit(StepFailed(step=step.id, tool=step.tool, seconds=0.1, kind="unsupported", message=why))
            return {"step": step.id, "tool": step.tool, "kind": "unsupported", "message": why}
        workspace = self.workspace(reading)
        folder = workspace.step_folder(step.id)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        provenance = Provenance(tool=step.tool, tool_version="1", params={}, inputs=(), seconds=1.25)
        workspace.add_artifact(
            Artifact(
                id=step.id,
                kind=result.kind,
                summary=result.summary,
                data=result.model_dump(mode="json"),
                files=result.files,
                marks=result.marks,
                provenance=provenance,
            )
        )
        emit(
            StepFinished(
                step=step.id,
                tool=step.tool,
                seconds=1.25,
                summary=result.summary,
                kind=result.kind,
                files=tuple(str(folder / f) for f in result.files),
                figures=tuple(str(folder / f) for f in result.figures),
                marks=result.marks,
                data=result.model_dump(mode="json"),
            )
        )
        return None

    def _end(
        self, request: str, reading: str, emit: Callable[[AnyEvent], None], plan: Plan | None,
        failures: list[dict[str, str]], outcome: str | None = None,
    ) -> Answer:  # fmt: skip
        pause = None
        if plan and outcome == "waiting":
            reasons = ("every plan is shown before it runs",)
            pause = Pause(plan=plan, reasons=reasons, estimated_seconds=14, device_memory_mb=0)
        self.record(reading).append(
            "answer",
            request=request,
            outcome=outcome or self.outcome,
            plan=plan.model_dump(mode="json") if plan else None,
            steps=[s.id for s in plan.steps] if plan and (outcome or "") != "waiting" else [],
            claims=[c.model_dump(mode="json") for c in self.claims],
            held_back=list(self.held_back),
            failures=failures,
            seconds=3.2,
            pause=pause.model_dump(mode="json") if pause else None,
        )
        answer = self.answer(reading)
        if pause:
            emit(Paused(reading=reading, pause=pause))
        emit(Answered(reading=reading, outcome=answer.outcome, claims=self.claims, held_back=self.held_back))
        return answer

    def record(self, reading: str) -> RunRecord:
        return RunRecord(self.settings.readings_dir.absolute() / reading / "record.jsonl")
