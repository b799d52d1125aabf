"""The page behind a real nginx, with the configuration of docs/page.md: who signs in, events, uploads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.pacs.conftest import free_port
from tests.page_server import serving

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed; run 'apt-get install nginx-light'"),
]
DOCS = Path(__file__).parents[2] / "docs" / "page.md"
HOST = "reading.example"
STEP_S = 0.4
PASSWORDS = {"anna": "one-canary", "bert": "two-canary"}


class Site(NamedTuple):
    address: str
    behind: str

    def client(self, name: str = "", **headers: str) -> httpx.Client:
        auth = (name, PASSWORDS[name]) if name else None
        return httpx.Client(
            base_url=self.address, auth=auth, headers={"host": HOST, **headers}, trust_env=False, timeout=30
        )


def documented(folder: Path, port: int, behind: str) -> str:
    """Return the documentation's configuration with this test's addresses and files, without TLS."""
    (server,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    server = re.sub(r"\n *ssl_\w+ [^\n]*", "", server).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    server = server.replace("http://127.0.0.1:7860", behind).replace("/etc/nginx/reading.users", str(folder / "users"))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = (
        f"user {folder.owner()} {folder.group()}; daemon off; worker_processes 1;"
        f"pid {folder}/nginx.pid; error_log {folder}/error.log;"
    )
    return f"{settings} events {{}} http {{ access_log off; {temporary} {server} }}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    settings = {
        "auth_header": "X-Forwarded-User",
        "trusted_proxies": "127.0.0.1",
        "public_hosts": HOST,
        "max_upload_mb": 2,
    }
    with serving(tmp_path_factory.mktemp("page"), step_seconds=STEP_S, **settings) as behind:
        (folder / "users").write_text("".join(f"{n}:{{PLAIN}}{p}\n" for n, p in PASSWORDS.items()), encoding="utf-8")
        (folder / "nginx.conf").write_text(documented(folder, port, behind), encoding="utf-8")
        assert NGINX
        process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        )
        found = Site(f"http://127.0.0.1:{port}", behind)
        try:
            wait_for(found.address)
            yield found
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_for(address: str) -> None:
    for _ in range(100):
        try:
            httpx.get(address, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nginx does not answer")


def test_nobody_comes_in_without_a_password_or_with_a_header_of_their_own(site):
    with site.client() as nobody:
        assert nobody.get("/").status_code == 401
        assert nobody.get("/", headers={"X-Forwarded-User": "anna"}).status_code == 401
    with site.client("bert", **{"X-Forwarded-User": "anna"}) as bert, site.client("anna") as anna:
        (path,) = bert.post("/gradio_api/upload", files={"files": ("a.txt", b"canary")}).json()
        assert bert.get(f"/gradio_api/file={path}").text == "canary"
        assert anna.get(f"/gradio_api/file={path}").status_code == 404  # the header of bert's own changed nothing


def test_the_page_and_what_it_loads_come_from_the_public_address(site):
    with site.client("anna") as anna:
        page = anna.get("/")
        assert page.status_code == 200
        assert anna.get("/config").json()["root"].startswith(f"http://{HOST}")
        scripts = re.findall(r'<script[^>]+src="(\.?/[^"]+)"', page.text)
        assert scripts
        for script in scripts:
            assert anna.get(script.removeprefix(".")).status_code == 200, script
    with site.client("anna", origin="http://evil.example") as evil:
        assert evil.post("/gradio_api/queue/join", json={}).status_code == 403
    with site.client("anna", origin=f"http://{HOST}") as own:
        assert own.post("/settings/preview", json={}).status_code == 200


def test_events_are_seen_as_they_happen(site):
    """Four steps of 0.4 s each: kept back by a buffer they would come all at once."""
    with site.client("anna") as anna:
        asked = anna.post("/gradio_api/call/ask", json={"data": ["Segment the lungs.", ""]}).json()
        at, last = [], ""
        with anna.stream("GET", f"/gradio_api/call/ask/{asked['event_id']}") as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    at.append(time.monotonic())
                    last = line
    assert '"answered"' in last
    assert at[-1] - at[0] > 3 * STEP_S
    assert sum(later - earlier > 0.05 for earlier, later in pairwise(at)) >= 4


@pytest.mark.parametrize("size", [2_500_000, 40_000_000])
@pytest.mark.parametrize("is_declared", [True, False])
def test_the_reason_of_a_refused_upload_comes_through(site, size, is_declared):
    """Many tries: a server that hangs up at once answers about one of five of them with nginx's 502."""
    form = httpx.Request("POST", site.address, files={"files": ("a.nii", b"x" * size)})
    body = form.read()
    for _ in range(15):
        pieces = (body[at : at + 65_536] for at in range(0, size, 65_536))
        with site.client("anna") as anna:
            refused = anna.post(
                "/gradio_api/upload",
                content=body if is_declared else pieces,
                headers={"content-type": form.headers["content-type"]},
            )
        assert (refused.status_code, "READINGROOM_MAX_UPLOAD_MB" in refused.text) == (413, True)


def test_an_upload_within_the_limit_and_a_large_plan_are_told_apart(site):
    with site.client("anna") as anna:
        assert anna.post("/gradio_api/upload", files={"files": ("a.nii", b"x" * 1_000_000)}).status_code == 200
        refused = anna.post("/settings/preview", content=b"x" * 6_000_000)
        assert (refused.status_code, "bytes at most" in refused.text) == (413, True)


def test_the_page_itself_is_not_reached_around_nginx_by_a_name_alone(site):
    with httpx.Client(base_url=site.behind, trust_env=False) as around:
        assert around.get("/").status_code == 401  # from the proxy's address, but nobody signed in
