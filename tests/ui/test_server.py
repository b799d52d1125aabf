"""The web application: health, files of readings, headers, hosts; nothing from outside."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

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


def test_no_event_of_the_page_is_an_open_endpoint(page):
    assert page.get("/gradio_api/info").json()["named_endpoints"] == {}


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
