"""A whole request whose second step is a remote model that hangs, lies or goes away: the reading stays intact."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import pytest

from agent.assistant import Assistant
from agent.plan import Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from tests.loopback import Quiet, listening
from tools.models.card import ModelCard
from tools.models.hub import Hub
from tools.models.remote.wire import image_in, mask_out
from tools.registry import Registry
from tools.testing import chest_phantom
from tools.verbs.segment import segment

Reply = Callable[[dict[str, Any]], dict[str, Any] | bytes | None]


class Far(Quiet, BaseHTTPRequestHandler):
    """Answers what the test says; nothing at all where that is None."""

    reply: ClassVar[Reply]

    def do_POST(self) -> None:
        answer = Far.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if answer is None:
            return  # the connection ends without a word
        data = answer if isinstance(answer, bytes) else json.dumps({"protocol": 1, **answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[str]:
    with listening(Far) as address:
        yield f"{address}/"


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    array, _ = chest_phantom()
    nib.save(nib.Nifti1Image(array, np.diag([3.0, 3.0, 5.0, 1.0])), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


class Scripted:
    """Plans what the test says, once."""

    planned_by, can_replan, notes = "scripted", False, ()

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def plan(self, request: str, facts: object, **more: object) -> PlanningResult:
        return PlanningResult(outcome=self._plan, decided_by="script", notes=())


def far(url: str) -> ModelCard:
    return ModelCard(
        name="far", title="Far", verb="segment", runtime="remote_http", version="1", targets=("liver",), seconds=1,
        modality=("CT",), requires="it was made for CT", licence="MIT", source="test",
        options={"url": url, "timeout_s": 1.5},
    )  # fmt: skip


def assistant(tmp_path: Path, url: str, *targets: str) -> Assistant:
    lungs = next(card for card in Hub.installed().cards if card.name == "ct-chest-threshold")
    args = [{"image": "@img1", "targets": [target]} for target in targets]
    steps = tuple(Step(id=f"s{n}", tool="segment", args=each) for n, each in enumerate(args, 1))
    return Assistant(
        settings=Settings(readings_dir=tmp_path / "readings", device="cpu"),
        registry=Registry([segment]), hub=Hub([lungs, far(url)]), planner=Scripted(Plan(steps=steps)),
    )  # fmt: skip


def honest(request: dict[str, Any]) -> dict[str, Any]:
    from tools.models.remote.wire import WireImage

    volume = image_in(WireImage.model_validate(request["image"]), max_bytes=10**9)
    mask = np.zeros(volume.shape, np.bool_)
    mask[10:20, 10:20, 5:9] = True
    return {"version": "1", "result": {"masks": {"liver": mask_out(mask, volume)}}}


def hangs(request: dict[str, Any]) -> dict[str, Any]:
    time.sleep(4)
    return {"version": "1", "result": {}}


def lies(request: dict[str, Any]) -> dict[str, Any]:
    from tools.models.remote.wire import WireImage

    volume = image_in(WireImage.model_validate(request["image"]), max_bytes=10**9)
    smaller = np.ones((volume.shape[0] - 1, *volume.shape[1:]), np.bool_)
    return {"version": "1", "result": {"masks": {"liver": mask_out(smaller, volume)}}}


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (hangs, "1.5 s"),
        (lies, "liver"),
        (lambda request: b"<html>busy</html>", "JSON"),
        (lambda request: {"version": "2", "result": {}}, "version"),
        (lambda request: None, "far"),
    ],
    ids=["hangs", "lies about its mask", "sends nonsense", "is another version", "breaks off"],
)
def test_a_remote_model_that_misbehaves_costs_its_step_alone(
    tmp_path: Path, server: str, ct: Path, behaviour: Reply, said: str
) -> None:
    Far.reply = staticmethod(behaviour)
    room = assistant(tmp_path, server, "lungs", "liver")
    began = time.monotonic()
    answer = room.ask("Outline the lungs and the liver.", [ct])
    assert time.monotonic() - began < 20
    assert [artifact.id for artifact in answer.artifacts] == ["s1"]
    (failed,) = answer.failures
    assert failed.step == "s2"
    assert failed.kind in ("unavailable", "bad_input", "time_limit")
    assert said in failed.message
    assert "\n" not in failed.message
    kept = room.workspace(answer.reading)
    assert any(mask.any() for _name, mask, _grid in kept.masks("s1"))
    assert not any((kept.root / "artifacts" / "s2").glob("*.nii.gz"))


def test_a_server_that_is_gone_and_comes_back(tmp_path: Path, server: str, ct: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/"
    answer = assistant(tmp_path, closed, "liver").ask("Outline the liver.", [ct])
    assert answer.failures[0].kind == "unavailable"
    assert closed.rstrip("/") in answer.failures[0].message

    Far.reply = staticmethod(honest)
    again = assistant(tmp_path, server, "liver").ask("Outline the liver.", [ct])
    assert not again.failures
    assert again.artifacts[0].data["masks"][0]["voxels"] == 400
    assert again.artifacts[0].provenance.model.card == "far"
