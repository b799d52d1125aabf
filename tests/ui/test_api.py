"""The page's endpoints, with Gradio's own client: typed, documented, each reading its owner's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.page_server import serving

NAMES = {"/attach", "/ask", "/decide", "/follow", "/stop", "/answer", "/readings", "/check_report", "/export"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("page"), step_seconds=0.2, waits=1) as found:
        yield found


@pytest.fixture
def client(address):
    from gradio_client import Client

    made = Client(address, verbose=False)
    yield made
    made.close()


def refusal(call, *args, **named):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as error:
        call(*args, **named)
    return str(error.value)


def test_the_endpoints_are_named_typed_and_described(client):
    listed = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert set(listed) == NAMES
    for name, endpoint in listed.items():
        assert endpoint["description"], name
        assert all(p["parameter_name"] != "who" for p in endpoint["parameters"]), name


def test_asking_waiting_deciding_and_following(client):
    job = client.submit("Segment the lungs.", "", api_name="/ask")
    waiting = job.result()
    assert waiting["state"] == "waiting"
    reading = waiting["reading"]
    assert "waits for a person" in client.predict(reading, api_name="/answer")["claims"][0]["text"] or waiting["plan"]
    decided = client.submit(reading, "approve", "", None, api_name="/decide")
    states = [update["state"] for update in decided]
    assert states[0] == "running"
    assert states[-1] == "ended"
    assert client.predict(reading, api_name="/follow")["outcome"] == "answered"
    assert reading in client.predict(api_name="/readings")


def test_what_cannot_be_done_is_one_line(client):
    assert "write what should be done" in refusal(client.predict, " ", "", api_name="/ask")
    assert "no reading of yours" in refusal(client.predict, "..", api_name="/answer")
    assert "must be an upload" in refusal(client.predict, {"path": "/etc/passwd"}, "", "", "", api_name="/attach")
    reading = client.submit("Segment.", "", api_name="/ask").result()["reading"]
    told = refusal(client.predict, reading, "perhaps", "", None, api_name="/decide")
    assert "approve, reject or edit" in told


def test_a_path_of_the_server_is_no_upload(address):
    body = {"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "", "", ""], "session_hash": "raw"}
    with httpx.Client(base_url=address, trust_env=False, timeout=20) as raw:
        raw.get("/config")
        joined = raw.post("/gradio_api/call/attach", json=body)
        if joined.status_code == 200:
            told = raw.get(f"/gradio_api/call/attach/{joined.json()['event_id']}").text
        else:
            told = joined.text
    assert "root:" not in told
    assert '"id": "rep1"' not in told


def test_another_program_has_no_part_in_a_reading(client, address):
    from gradio_client import Client

    reading = client.submit("Segment.", "", api_name="/ask").result()["reading"]
    other = Client(address, verbose=False)
    for name, args in {
        "/answer": (), "/follow": (), "/stop": (), "/check_report": ("Clear.",), "/export": (["s1"], "json"),
        "/decide": ("approve", "", None),
    }.items():  # fmt: skip
        assert "no reading of yours" in refusal(other.predict, reading, *args, api_name=name)
    assert other.predict(api_name="/readings") == []
    other.close()


def test_the_page_s_own_events_are_no_endpoints(address):
    with httpx.Client(base_url=address, trust_env=False) as raw:
        info = json.loads(raw.get("/gradio_api/info").text)
    assert set(info["named_endpoints"]) == NAMES
    assert info["unnamed_endpoints"] == {}


ROW = re.compile(r"^\| `(/\w+)` \|(.*?)\|(.*)\|$", re.MULTILINE)


def test_the_documentation_says_what_the_running_server_says(address):
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    documented = {}
    for name, arguments, gives in ROW.findall(text):
        plain = re.sub(r"\([^)]*\)", "", arguments)
        documented[name] = [part.strip() for part in plain.split(",") if part.strip()]
        assert gives.strip(), name
    with httpx.Client(base_url=address, trust_env=False) as raw:
        served = raw.get("/gradio_api/info").json()["named_endpoints"]
    assert documented == {name: [p["parameter_name"] for p in each["parameters"]] for name, each in served.items()}
