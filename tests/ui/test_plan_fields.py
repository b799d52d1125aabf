"""The form of a plan: every argument of every tool has its field, and what is wrong is said there."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from agent.plan import Step
from tests.phantoms_ct import chest
from tests.reading_server import NoStore, Planner
from tools.imaging.nifti import write_nifti
from tools.registry import Registry
from ui.looking import Looking
from ui.owners import Owners
from ui.plan_fields import fields_of, wrong_in
from ui.plans import plan_routes
from ui.server import guard

REGISTRY = Registry.installed()


def field(tool, name):
    return next(f for f in fields_of(REGISTRY.get(tool)) if f.name == name)


@pytest.mark.parametrize("tool", list(REGISTRY), ids=lambda tool: tool.name)
def test_each_argument_has_its_field_those_that_are_needed_first(tool):
    made = fields_of(tool)
    assert {f.name for f in made} == set(tool.args_schema["properties"])
    assert {f.name for f in made if f.required} == set(tool.args_schema.get("required", ()))
    assert [f.required for f in made] == sorted((f.required for f in made), reverse=True)
    assert all(f.says for f in made)
    assert {f.name for f in made if f.kind == "ref"} == set(tool.refs)
    assert all(f.choices for f in made if f.kind == "choice")


@pytest.mark.parametrize(
    ("tool", "name", "kind", "many"),
    [
        ("segment", "image", "ref", False),
        ("segment", "targets", "words", True),
        ("segment", "prompt", "json", False),
        ("measure", "quantities", "choice", True),
        ("draft_report", "evidence", "ref", True),
        ("enhance", "operation", "choice", False),
        ("enhance", "spacing_mm", "number", False),
        ("search_reports", "k", "integer", False),
        ("synthesize", "rotations_deg", "numbers", True),
        ("answer", "question", "text", False),
    ],
)
def test_a_field_asks_for_what_the_argument_is(tool, name, kind, many):
    assert (field(tool, name).kind, field(tool, name).many) == (kind, many)


def test_limits_and_defaults_come_along():
    k = field("search_reports", "k")
    assert (k.minimum, k.maximum, k.default) == (1, 50, 5)
    assert "volume" in field("measure", "quantities").choices
    assert field("measure", "mask").takes == ("mask",)


def test_what_is_wrong_is_said_at_its_field():
    steps = [
        Step(id="s1", tool="segment", args={"image": "@img1"}),
        Step(id="s2", tool="search_reports", args={"query": "lungs", "k": 99}),
        Step(id="s3", tool="describe", args={"image": "@img1", "colour": "red"}),
        Step(id="s4", tool="none_such"),
        Step(id="s5", tool="describe", args={"image": "@img1"}),
    ]
    wrong = {(w.step, w.argument): w.problem for w in wrong_in(steps, REGISTRY)}
    assert set(wrong) == {("s1", "targets"), ("s2", "k"), ("s3", "colour"), ("s4", "")}
    assert wrong["s1", "targets"] == "This is needed."
    assert "50" in wrong["s2", "k"]


@pytest.fixture
def served(tmp_path):
    """A browser whose plan waits, another one, and the reading's id."""
    from agent.assistant import Assistant
    from agent.settings import Settings

    volume = chest().volume
    write_nifti(tmp_path / "ct.nii.gz", volume.array, volume)
    settings = Settings(
        readings_dir=tmp_path / "readings", data_dir=tmp_path / "data", device="cpu", approval="ask-before-running"
    )
    assistant = Assistant(settings=settings, planner=Planner(), knowledge=NoStore())  # type: ignore[arg-type]
    reading = assistant.ask("the lungs", [tmp_path / "ct.nii.gz"]).reading
    owners = Owners(tmp_path / "readings")
    app = FastAPI()
    app.include_router(plan_routes(Looking(assistant, lambda path, folder: ""), owners))
    guard(app, assistant.settings, "127.0.0.1")
    mine, theirs = (TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 1)) for _ in range(2))
    for client in (mine, theirs):
        client.get("/config")  # gives the cookie

    @app.get("/claim")
    def claim(request: Request):
        owners.claim(request, reading)

    mine.get("/claim")
    return mine, theirs, reading


def test_only_the_owner_gets_the_form_and_its_check(served):
    mine, theirs, reading = served
    form = mine.get(f"/plan/{reading}").json()
    assert [s["id"] for s in form["steps"]][:2] == ["s1", "s2"]
    assert form["has"][0]["id"] == "img1"
    assert form["next"] > len(form["steps"])
    said = mine.post(f"/plan/{reading}/checked", json={"steps": [{"id": "s1", "tool": "segment", "args": {}}]}).json()
    assert said["runs"] is False
    assert {w["argument"] for w in said["wrong"]} == {"image", "targets"}
    assert "rr-problem" in said["html"]
    for strange in ([1], [{"id": "x"}], ["s1"], [], [{"id": "s1", "tool": "<b>", "args": {}}]):
        told = mine.post(f"/plan/{reading}/checked", json={"steps": strange})
        assert told.status_code == 200
        assert "<b>" not in told.json()["html"]
    assert theirs.get(f"/plan/{reading}").status_code == 404
    assert theirs.post(f"/plan/{reading}/checked", json={"steps": []}).status_code == 404
