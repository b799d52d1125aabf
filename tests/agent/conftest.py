"""An assistant with scripted plans and small tools of known behaviour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import nibabel
import numpy as np
import pytest
from pydantic import Field

from agent.assistant import Assistant
from agent.plan import Clarify, Decline, Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from tools.contract import AnyRef, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.registry import Registry
from tools.results import Measurement, Measurements

Spans = dict[str, tuple[float, float]]


@dataclass
class ScriptedPlanner:
    """Gives scripted outcomes in order and keeps what it was asked."""

    outcomes: list[Plan | Clarify | Decline]
    asked: list[dict] = field(default_factory=list)
    planned_by: str = "scripted"
    can_replan: bool = True
    notes: tuple[str, ...] = ()

    def plan(self, request, facts, *, results=(), first_step=1, comment=None):
        self.asked.append({"request": request, "facts": facts, "results": results, "comment": comment})
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Plan):
            outcome = renumbered(outcome, first_step)
        return PlanningResult(outcome=outcome, decided_by="script", notes=self.notes)


def renumbered(plan: Plan, first: int) -> Plan:
    """Shift ids and references by what earlier turns have used."""
    text = plan.model_dump_json()
    for number in range(len(plan.steps), 0, -1):
        text = text.replace(f'"s{number}"', f'"s{number + first - 1}"').replace(
            f'"@s{number}"', f'"@s{number + first - 1}"'
        )
    return Plan.model_validate_json(text)


def plan_of(*steps: tuple[str, dict]) -> Plan:
    """A plan whose steps are s1, s2, …"""
    return Plan(steps=tuple(Step(id=f"s{i}", tool=name, args=args) for i, (name, args) in enumerate(steps, 1)))


def one_value(ctx: ToolContext, value: float) -> Measurements:
    row = Measurement(
        target="phantom",
        quantity="volume",
        value=value,
        unit="ml",
        image="img1",
        mask="mask1",
        spacing_source="NIfTI header",
        method="given",
    )
    (ctx.folder / "value.txt").write_text(f"{value}")
    return Measurements(summary=f"The phantom has {value:g} ml.", rows=(row,), files=("value.txt",))


@dataclass
class Toolbox:
    """Tools that record when they ran."""

    spans: Spans = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def registry(self) -> Registry:
        box = self

        @tool()
        def wait(
            ctx: ToolContext,
            seconds: Annotated[float, Field(description="how long")] = 0.0,
            after: Annotated[list[AnyRef], Field(description="results to wait for")] = [],  # noqa: B006
        ) -> Measurements:
            """Wait, then return the seconds as a volume."""
            box.runs.append(ctx.step_id)
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                ctx.progress(min(1.0, (time.monotonic() - began) / seconds), "waiting")
                time.sleep(0.01)
            box.spans[ctx.step_id] = (began, time.monotonic())
            return one_value(ctx, seconds)

        @tool()
        def refuse(
            ctx: ToolContext,
            retry: Annotated[bool, Field(description="whether other arguments could help")] = False,
        ) -> Measurements:
            """Refuse to work."""
            box.runs.append(ctx.step_id)
            raise (BadInputError if retry else UnsupportedError)("this phantom has no lungs")

        @tool()
        def crash(ctx: ToolContext) -> Measurements:
            """Fail with a bug."""
            raise ZeroDivisionError("a bug with PATIENT^NAME")

        @tool(timeout_s=0.3)
        def hang(ctx: ToolContext) -> Measurements:
            """Hang without ever asking whether to stop."""
            box.gate.wait(20)
            return one_value(ctx, 1.0)

        @tool(timeout_s=0.3)
        def spin(ctx: ToolContext) -> Measurements:
            """Work for ever without asking whether to stop."""
            ballast = np.zeros(1_000_000)
            try:
                while True:
                    ballast += 1
            finally:
                box.runs.append("spin stopped")

        @tool(needs_approval=True)
        def delicate(ctx: ToolContext) -> Measurements:
            """Do something that a person must agree to."""
            box.runs.append(ctx.step_id)
            return one_value(ctx, 7.0)

        return Registry([wait, refuse, crash, hang, spin, delicate])


@pytest.fixture
def box() -> Toolbox:
    return Toolbox()


@pytest.fixture
def make_assistant(tmp_path: Path, box: Toolbox) -> Callable[..., Assistant]:
    """Make an assistant over the toolbox, with scripted plans."""

    def make(*outcomes: Plan | Clarify | Decline, **settings: object) -> Assistant:
        return Assistant(
            settings=Settings(readings_dir=tmp_path / "readings", device="cpu", **settings),
            registry=box.registry(),
            hub=SimpleNamespace(cards=()),
            planner=ScriptedPlanner(list(outcomes)),
        )

    return make


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    """A small NIfTI of arbitrary units, 2 × 3 × 4 mm."""
    path = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.set_sform(image.affine, code=1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


@pytest.fixture
def nifti_ct(tmp_path: Path) -> Path:
    """A small NIfTI whose values are Hounsfield units: air around water."""
    path = tmp_path / "ct.nii.gz"
    voxels = np.full((8, 9, 10), -1000, dtype=np.int16)
    voxels[2:6, 2:6, 2:6] = 40
    voxels[3, 3, 3] = 300  # bone: a patient's values reach above water
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0])), path)
    return path
