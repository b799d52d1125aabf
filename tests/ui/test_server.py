"""The web application: health, files of readings, headers, hosts; nothing from outside."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.page_server import serving


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with serving(folder) as address, httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
        yield client


def test_health_answers(page):
    assert page.get("/health").json() == {"status": "ok"}


def test_the_page_names_nothing_outside_and_forbids_it(page):
    found = page.get("/")
    assert found.status_code == 200
    policy = found.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"', found.text)
    assert loaded == []


def test_no_analytics_no_history_no_share(page):
    config = json.loads(page.get("/config").text)
    assert config["analytics_enabled"] is False
    assert config.get("run_history") in (None, False)
    assert not config.get("is_space")


def test_other_host_names_are_refused_on_loopback(page):
    assert page.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_only_what_is_on_the_shelf_is_served(page, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("canary", encoding="utf-8")
    for address in (f"/files/x/{secret.name}", f"/gradio_api/file={secret}", f"/file={secret}", "/files/%2e%2e/passwd"):
        found = page.get(address)
        assert found.status_code in (403, 404, 405), address
        assert "canary" not in found.text


def test_many_health_checks_at_once_are_quick(page):
    def once(_):
        start = time.monotonic()
        assert page.get("/health").status_code == 200
        return time.monotonic() - start

    once(0)
    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(once, range(32))) < 2.0


# --- one browser gets nothing of another's; uploads


@pytest.fixture
def browsers(page):
    """Two browsers that have loaded the page."""
    with (
        httpx.Client(base_url=page.base_url, trust_env=False, timeout=20) as one,
        httpx.Client(base_url=page.base_url, trust_env=False, timeout=20) as two,
    ):
        for each in (one, two):
            assert each.get("/").status_code == 200
        yield one, two


def test_an_upload_is_its_uploaders(browsers):
    mine, other = browsers
    (path,) = mine.post("/gradio_api/upload", files={"files": ("a.txt", b"canary")}).json()
    assert mine.get(f"/gradio_api/file={path}").text == "canary"
    for address in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file/{path}", f"//file={path}"):
        refused = other.get(address)
        assert refused.status_code == 404, address
        assert "canary" not in refused.text


def test_events_are_heard_by_the_browser_that_sent_them(browsers):
    mine, other = browsers
    body = {"data": [None, None], "fn_index": 0, "session_hash": "abcdef"}
    mine.post("/gradio_api/queue/join", json=body)
    assert other.get("/gradio_api/queue/data?session_hash=abcdef").status_code == 403
    assert other.post("/gradio_api/queue/join", json=body).status_code == 403


KEY = "sk-canary-4711"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    with serving(folder, max_upload_mb=1, llm_api_key=KEY, llm_base_url="http://127.0.0.1:1/v1") as address:
        yield folder, address


def _too_much(chunks=30):
    yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'
    for _ in range(chunks):
        yield b"x" * 100_000
    yield b"\r\n--b--\r\n"


def test_an_upload_above_the_limit_is_refused_and_thrown_away(small):
    folder, address = small
    headers = {"content-type": "multipart/form-data; boundary=b"}
    with httpx.Client(base_url=address, trust_env=False) as client:
        refused = client.post("/gradio_api/upload", content=_too_much(), headers=headers)
    assert refused.status_code == 413
    assert [p for p in (folder / "uploads").rglob("*") if p.is_file()] == []


def test_a_key_is_in_nothing_that_a_browser_gets(small):
    _, address = small
    with httpx.Client(base_url=address, trust_env=False) as client:
        for path in ("/", "/config", "/gradio_api/info"):
            assert KEY not in client.get(path).text


def test_three_gigabytes_are_refused_before_they_are_sent(small):
    import socket

    _, address = small
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sent:
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 3000000000\r\n\r\n"
        sent.sendall(head.encode())
        answer = b""
        while part := sent.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"READINGROOM_MAX_UPLOAD_MB" in answer


@pytest.mark.parametrize("name", ["../../../evil.nii", "..\\..\\evil.nii", "/etc/evil.nii", "a/../../evil.nii"])
def test_a_name_that_climbs_out_is_only_a_name(small, name):
    folder, address = small
    with httpx.Client(base_url=address, trust_env=False) as client:
        (path,) = client.post("/gradio_api/upload", files={"files": (name, b"x")}).json()
    assert Path(path).resolve().is_relative_to(folder / "uploads")
    assert not [p for p in folder.rglob("evil*") if not p.is_relative_to(folder / "uploads")]
