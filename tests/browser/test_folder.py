"""The page in a folder of a site, behind nginx, in a real browser over real tools: nothing is asked for elsewhere."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import free_port
from tests.browser.test_conversation import SLOW_MS, open_tab, results
from tests.nginx import FOLDER, PASSWORDS, SETTINGS, needs_nginx, nginx_before
from tests.reading_server import reading_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), needs_nginx]
BOX = "#rr-report-text textarea"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    env = {f"READINGROOM_{name.upper()}": value for name, value in SETTINGS.items()}
    env |= {"READINGROOM_ROOT_PATH": FOLDER, "READINGROOM_ADMINS": "anna"}
    with (
        reading_server(tmp_path_factory.mktemp("reading"), free_port(), env) as page,
        nginx_before(page.removesuffix(f"{FOLDER}/"), tmp_path_factory.mktemp("nginx"), in_folder=True) as found,
    ):
        yield found


def coloured(page) -> int:
    """Return how many pixels of the viewer's first canvas are not grey."""
    page.evaluate("readingroom.viewer.settled()")
    shot = page.locator("#rr-stage .rv-pane canvas").first.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    return int((np.abs(pixels[..., 0] - pixels[..., 2]) > 30).sum())


def test_a_case_is_read_in_a_folder_and_nothing_is_asked_for_elsewhere(site, visit, ct):
    anna = visit(
        f"{site.address}{FOLDER}/",
        ready="#rr-request",
        http_credentials={"username": "anna", "password": PASSWORDS["anna"]},
    )
    page, missed = anna.page, []
    page.on("response", lambda r: missed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("requestfailed", lambda r: missed.append(f"{r.failure} {r.url}") if "ABORTED" not in r.failure else None)
    page.set_input_files("#rr-uploads input[type=file]", str(ct))
    page.wait_for_selector("#rr-side >> text=ready to attach")
    anna.ask("Segment the lungs, measure them and draft a report.")
    page.click("#rr-edit", timeout=SLOW_MS)
    page.wait_for_selector("#rr-plan-checked >> text=It can run: 3 steps", timeout=SLOW_MS)
    page.click("#rr-run-edited")
    results(page)
    page.wait_for_selector('#rr-stage[data-open="img1"]', timeout=SLOW_MS)
    page.wait_for_selector("li[data-region='s1/lungs']", timeout=SLOW_MS)
    with_mask = coloured(page)
    page.set_checked("li[data-region='s1/lungs'] input", False)
    assert with_mask > coloured(page) + 500
    open_tab(page, "Report")
    page.wait_for_selector("#rr-report-checked .rr-supported", timeout=SLOW_MS)
    page.fill(BOX, "FINDINGS\nThe lungs have a volume of 9.9 l.\n")
    page.wait_for_selector("#rr-report-checked .rr-contradicted", timeout=SLOW_MS)
    page.click("#rr-export")
    page.wait_for_selector("#rr-report-told a", timeout=SLOW_MS)
    with page.expect_download() as download:
        page.click("#rr-report-told a")
    assert download.value.url.startswith(f"{site.address}{FOLDER}/files/")
    assert download.value.path().stat().st_size > 500
    open_tab(page, "Settings")
    page.wait_for_selector("#rr-llm-url", timeout=SLOW_MS)
    page.click("#rr-llm-test")
    page.wait_for_selector("#rr-llm-told p", timeout=SLOW_MS)
    page.reload()
    results(page)
    open_tab(page, "Report")
    page.wait_for_function("document.querySelector('#rr-report-box')?.value.includes('9.9 l')", timeout=SLOW_MS)
    page.wait_for_selector("#rr-report-checked .rr-contradicted", timeout=SLOW_MS)
    page.wait_for_selector("li[data-region='s1/lungs']", timeout=SLOW_MS)
    anna.shot("in-a-folder")
    assert {url for url in anna.asked if not url.startswith((f"{site.address}/", "data:", "blob:"))} == set()
    asked = set(site.paths()) - {"/", "/favicon.ico"}  # the test's wait for nginx, and Chromium's for the site's icon
    assert {path for path in asked if not path.startswith(f"{FOLDER}/")} == set()
    wanted = ("page/viewer/main.js", "thumbnail.png", "slice.png", "layers.json", "scene.json", "checked", "upload")
    assert [part for part in wanted if not any(part in path for path in asked)] == []
    assert missed == []
    assert anna.errors == []
