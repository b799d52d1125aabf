"""What the tab Settings asks of the server: by whom, and that work is followed to its end."""

from __future__ import annotations

import time

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from agent.settings import Settings, page_file
from tests.fake_assistant import FakeAssistant
from tests.pacs.conftest import free_port
from tools.pacs.server import PacsServer
from ui.access.passwords import put
from ui.owners import Owners
from ui.server import guard
from ui.settings import settings_routes

PASSWORD = "correct horse battery"
CHANGES = [
    ("PUT", "/settings", {}),
    ("POST", "/settings/test", {}),
    ("POST", "/settings/models/get", {"name": "x"}),
    ("POST", "/settings/models/check", {"name": "x"}),
    ("POST", "/settings/reports", {"paths": []}),
    ("POST", "/settings/pacs", {"name": "x"}),
    ("GET", "/settings/jobs/x", None),
]


def browser(tmp_path, **settings) -> TestClient:
    given = Settings(readings_dir=tmp_path / "readings", data_dir=tmp_path / "data", **settings)
    assistant = FakeAssistant(settings=given)
    owners = Owners(given.readings_dir, settings_by=given.admins if given.password_file else None)
    app = FastAPI()
    app.include_router(settings_routes(assistant, owners))
    guard(app, given, "127.0.0.1")
    return TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 1))


def ended(client: TestClient, job: str) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        told = client.get(f"/settings/jobs/{job}").json()
        if told["over"]:
            return str(told["html"])
        time.sleep(0.05)
    raise AssertionError("the work does not end")


def test_every_part_is_shown_and_what_is_kept_is_used(tmp_path):
    client = browser(tmp_path, pacs={"main": PacsServer(host="127.0.0.1", port=free_port())})
    parts = client.get("/settings").json()["parts"]
    assert list(parts) == ["rr-set-llm", "rr-models", "rr-reports", "rr-pacs", "rr-memory"]
    for name, html in parts.items():
        assert f'id="{name}"' in html
    wish = {
        "llm_base_url": "https://llm.example/v1",
        "llm_model": "m",
        "egress_by_endpoint": {"llm.example": "remote-allowed"},
    }
    assert "patient data included" in client.post("/settings/preview", json=wish).json()["html"]
    assert "Kept" in client.put("/settings", json=wish).json()["html"]
    assert Settings().egress_by_endpoint == {"llm.example": "remote-allowed"}
    refused = client.put("/settings", json={**wish, "approval": "never"}).json()["html"]
    assert "rr-error" in refused
    assert "approval" in refused
    assert client.put("/settings", json={"anything": 1}).status_code == 422


def test_work_is_begun_followed_and_told(tmp_path):
    client = browser(tmp_path, pacs={"gone": PacsServer(host="127.0.0.1", port=free_port(), timeout_s=1)})
    for path, given, words in (
        ("/settings/pacs", {"name": "gone"}, "gone"),
        ("/settings/models/get", {"name": "no-such-model"}, "no-such-model"),
        ("/settings/test", {"llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "m"}, "127.0.0.1:9"),
    ):
        told = ended(client, client.post(path, json=given).json()["job"])
        assert "rr-error" in told, path
        assert words in told
    assert "press the button again" in client.get("/settings/jobs/nothing").json()["detail"]


def test_only_uploads_are_stored(tmp_path):
    client = browser(tmp_path)
    assert "Choose files" in client.post("/settings/reports", json={"paths": []}).json()["html"]
    refused = client.post("/settings/reports", json={"paths": ["/etc/passwd"]})
    assert (refused.status_code, "must be an upload" in refused.json()["detail"]) == (422, True)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_who_is_no_admin_changes_nothing(tmp_path, method, path, body):
    for name in ("anna", "bert"):
        put(tmp_path / "users", name, PASSWORD)
    client = browser(tmp_path, password_file=tmp_path / "users", admins=("anna",))
    assert client.request(method, path, json=body).status_code == 401
    client.post("/login", data={"username": "bert", "password": PASSWORD})
    refused = client.request(method, path, json=body)
    assert refused.status_code == 403
    assert "READINGROOM_ADMINS" in refused.json()["detail"]
    assert not page_file().exists()
    assert "READINGROOM_ADMINS" in client.get("/settings").json()["parts"]["rr-set-llm"]
