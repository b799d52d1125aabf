"""What tests in a real browser share: Chromium, servers that can be restarted, people, the keyboard, screenshots.

Screenshots go to build/screenshots, in every run.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.page_server import serving
from tests.phantoms_ct import chest
from tools.imaging.nifti import write_nifti

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENSHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"
SIZE = {"width": 1280, "height": 720}
AXE = Path(__file__).parent / "axe" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
MAX_TABS = 150  # to get anywhere on the page by keyboard


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a browser that waited in vain a second try, which pytest's summary counts; a wrong value gets none."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Playwright: one at a time and ended with its module, because its event loop would stop tests of async code."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; run 'apt-get install chromium'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(driver: Any) -> Iterator[Any]:
    """Debian's Chromium, started once a module; without WebGL where a test asks for it by itself."""
    launched = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield launched
    launched.close()


@dataclass
class Served:
    """A page's server with a folder and a port of its own: restarted, it is the same to a browser."""

    folder: Path
    options: dict[str, Any]
    port: int
    address: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self.address = self._stack.enter_context(serving(self.folder, port=self.port, **self.options))

    def stop(self) -> None:
        self._stack.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Return a function that starts a server for this module's tests: `serve(step_seconds=0.5, waits=1)`."""
    started: list[Served] = []

    def start(**options: Any) -> Served:
        server = Served(tmp_path_factory.mktemp("page"), options, free_port())
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chest CT with lungs of a known volume, as a file to upload."""
    volume = chest().volume
    path = tmp_path_factory.mktemp("ct") / "chest.nii.gz"
    write_nifti(path, volume.array, volume)
    return path


@dataclass
class Person:
    """One browser with its own cookies, and what it noticed."""

    context: Any
    page: Any
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def ask(self, request: str) -> None:
        self.page.fill("#rr-request textarea", request)
        self.page.click("#rr-ask")

    def answered(self, timeout_s: float = 60) -> None:
        """Wait until the run has ended."""
        self.page.wait_for_selector("#rr-ask", state="visible", timeout=timeout_s * 1000)

    def tab_to(self, selector: str) -> None:
        """Go to an element with the Tab key alone."""
        for _ in range(MAX_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("s => !!document.activeElement?.closest(s)", selector):
                return
        raise AssertionError(f"{selector} is not reached by {MAX_TABS} tabs")

    def shot(self, name: str) -> Path:
        """Keep what is to be seen as a picture among the build's output."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Person]]:
    """Return a function that opens an address as another person: `visit(server.address, dark=True)`."""
    contexts = []

    def open_page(address: str, *, dark: bool = False, ready: str = "#rr-ask", **options: Any) -> Person:
        given = {"viewport": SIZE, "color_scheme": "dark" if dark else "light", "reduced_motion": "reduce"} | options
        context = chromium.new_context(**given)
        contexts.append(context)
        person = Person(context, context.new_page())
        person.page.on("pageerror", lambda error: person.errors.append(str(error)))
        person.page.on("request", lambda request: person.asked.append(request.url))
        person.page.goto(address)
        if ready:
            person.page.wait_for_selector(ready)
        return person

    yield open_page
    for context in contexts:
        context.close()


def violations(page: Any, within: str = "html") -> list[str]:
    """Return what axe-core finds wrong with a page, or a part of it, as it is now."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("([rules, part]) => axe.run(part, rules)", [RULES, within])["violations"]
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]


UNEXPLAINED = """() => [...document.querySelectorAll("button, input, select, textarea, [aria-disabled=true]")]
    .filter((one) => (one.disabled || one.ariaDisabled === "true") && one.offsetParent)
    .filter((one) => !one.closest("[title]"))
    .filter((one) => !(one.getAttribute("aria-describedby") ?? "").split(" ")
        .some((id) => document.getElementById(id)?.textContent.trim()))
    .map((one) => one.id || one.closest("[id]").id + " " + (one.textContent.trim() || one.ariaLabel || one.type))"""


def unexplained(page: Any) -> list[str]:
    """Return the controls that are seen and cannot be used, and do not say why."""
    found: list[str] = page.evaluate(UNEXPLAINED)
    return found
