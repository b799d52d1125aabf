"""The page behind a real nginx, with the configurations of docs/page.md: who signs in, events, uploads, a folder."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urljoin

import httpx
import pytest

from tests.nginx import FOLDER, HOST, PASSWORDS, SETTINGS, Site, needs_nginx, nginx_before
from tests.page_server import serving

pytestmark = [pytest.mark.server, needs_nginx]
STEP_S = 0.4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        serving(tmp_path_factory.mktemp("page"), step_seconds=STEP_S, max_upload_mb=2, **SETTINGS) as behind,
        nginx_before(behind, tmp_path_factory.mktemp("nginx")) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def folder_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        serving(tmp_path_factory.mktemp("page"), root_path=FOLDER, **SETTINGS) as page,
        nginx_before(page.removesuffix(f"{FOLDER}/"), tmp_path_factory.mktemp("nginx"), in_folder=True) as found,
    ):
        yield found


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


def test_the_page_in_a_folder_and_what_it_loads(folder_site):
    with folder_site.client("anna") as anna:
        short = anna.get(FOLDER)
        assert short.status_code == 301
        assert urljoin(f"http://{HOST}{FOLDER}", short.headers["location"]).endswith(f"{FOLDER}/")
        page = anna.get(f"{FOLDER}/")
        assert page.status_code == 200
        config = anna.get(f"{FOLDER}/config").json()
        assert config["root"] == f"http://{HOST}{FOLDER}"
        linked = re.findall(r'(?:src|href)="([^"]+[.](?:js|css))"', page.text + config["head"])
        loaded = [urljoin(f"http://{HOST}{FOLDER}/", address) for address in linked]
        assert f"http://{HOST}{FOLDER}/page/viewer/main.js" in loaded
        for address in loaded:
            assert address.startswith(f"http://{HOST}{FOLDER}/")
            assert anna.get(address.removeprefix(f"http://{HOST}")).status_code == 200, address
        assert anna.get("/config").status_code == 404  # the rest of the site is another's
    with folder_site.client("anna", origin=f"http://{HOST}") as own:
        assert own.post(f"{FOLDER}/settings/preview", json={}).status_code == 200
    with folder_site.client("anna", origin="http://evil.example") as evil:
        assert evil.post(f"{FOLDER}/settings/preview", json={}).status_code == 403


def test_a_program_uses_the_page_in_a_folder(folder_site, tmp_path):
    from gradio_client import Client, handle_file

    from tests.phantoms_ct import chest
    from tools.imaging.read import write_nifti

    volume = chest().volume
    write_nifti(tmp_path / "ct.nii.gz", volume.array, volume)
    basic = base64.b64encode(f"anna:{PASSWORDS['anna']}".encode()).decode()
    page = Client(
        f"{folder_site.address}{FOLDER}/", headers={"Authorization": f"Basic {basic}"}, verbose=False,
        download_files=tmp_path,
    )  # fmt: skip
    reading = page.predict(handle_file(str(tmp_path / "ct.nii.gz")), "", "CT", "", api_name="/attach")["reading"]
    updates = list(page.submit("Segment the lungs.", reading, api_name="/ask"))
    assert updates[-1]["state"] == "ended"
    texts = [claim["text"] for claim in page.predict(reading, api_name="/answer")["claims"]]
    assert "Volume of the lungs: 3,701 ml." in texts
    picture = f"{FOLDER}/view/{reading}/img1/thumbnail.png"
    with folder_site.client("anna") as anna, folder_site.client("bert") as bert:
        assert anna.get(picture).headers["content-type"] == "image/png"
        assert bert.get(picture).status_code == 404
