"""How long the page takes to be there, to show the first event, and how it holds twenty readings at once.

    python benchmarks/page.py

The peer is a bare Gradio application in the same run. Limits: an event reaches the page within 0.3 s of when it
happened; no reading of twenty at once loses an event; another person's page answers within 0.3 s during a ten-second
tool.
The server plays a scripted story: what is measured is the page, not the tools.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parent.parent
READINGS = 20
STEPS = 4
ROUNDS = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def started(*command: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the address and process of a server once it answers; {port} in its command is a free one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    line = [sys.executable, *(part.replace("{port}", str(port)) for part in command)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(address, timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def page_server(folder: str, step_seconds: float, *, busy: bool = False) -> tuple[str, ...]:
    return ("-m", "tests.page_server", folder, str(step_seconds), "0", "{port}", str(int(busy)))


def interactive_s(address: str) -> float:
    """Return how long a browser takes from nothing to a button that can be pressed: the median of some loads."""
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(ROUNDS):
            page = browser.new_context().new_page()
            began = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("#rr-ask:enabled")
            seconds.append(time.perf_counter() - began)
            page.context.close()
        browser.close()
    return statistics.median(seconds)


def asked(address: str, request: str) -> list[tuple[float, float, dict[str, Any]]]:
    """Return each update of a request: seconds since it was sent, the time of day, what it says."""
    updates = []
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        client.get("/config")  # gives the cookie that the reading will belong to
        began = time.perf_counter()
        event = client.post("/gradio_api/call/ask", json={"data": [request, ""]}).json()["event_id"]
        with client.stream("GET", f"/gradio_api/call/ask/{event}") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: ") and line != "data: null":
                    said = json.loads(line.removeprefix("data: "))[0]
                    updates.append((time.perf_counter() - began, time.time(), said))
    return updates


def first_event_s(address: str) -> float:
    return statistics.median(asked(address, "Segment the lungs.")[0][0] for _ in range(ROUNDS))


def latencies_s(updates: list[tuple[float, float, dict[str, Any]]]) -> list[float]:
    """Return how long after a step began the first update came that shows it."""
    seen: dict[str, float] = {}
    for _, at, said in updates:
        for step in said.get("steps", ()):
            if isinstance(step, dict) and step.get("started_at"):
                seen.setdefault(step["id"], at - step["started_at"])
    return list(seen.values())


def is_whole(updates: list[tuple[float, float, dict[str, Any]]]) -> bool:
    """Return whether a stream showed every step done and then the answer."""
    last = updates[-1][2]
    steps = [said["steps"] for _, _, said in updates if said["state"] == "running"][-1]
    done = [step for step in steps if isinstance(step, dict) and step["state"] == "done"]
    return last.get("outcome") == "answered" and len(done) == STEPS


def many_at_once(address: str, process: subprocess.Popen[bytes]) -> None:
    server = psutil.Process(process.pid)
    before = server.memory_info().rss
    began = time.perf_counter()
    with ThreadPoolExecutor(READINGS) as pool:
        streams = list(pool.map(lambda n: asked(address, f"request {n}"), range(READINGS)))
    seconds = time.perf_counter() - began
    grown_mb = (server.memory_info().rss - before) / 1e6
    whole = sum(map(is_whole, streams))
    late = sorted(value for stream in streams for value in latencies_s(stream))
    p95 = late[int(0.95 * len(late))]
    readings = {stream[-1][2]["reading"] for stream in streams}
    print(
        f"{READINGS} readings at once                {seconds:7.2f} s   {whole} whole, {READINGS - whole} lost, limit 0"
    )
    print(f"  readings of their own               {len(readings):7d}     limit {READINGS}")
    print(f"  event to page, median             {statistics.median(late):7.3f} s   p95 {p95:.3f} s, limit 0.3 s")
    print(f"  memory per open reading           {grown_mb / READINGS:7.2f} MB")


def beside_a_tool(address: str, what: str) -> None:
    """Ask for something small while a ten-second tool of another person runs; the tool is not waited for."""

    def run() -> None:
        with contextlib.suppress(httpx.HTTPError):  # the server is stopped under it
            asked(address, "Segment the lungs.")

    threading.Thread(target=run, daemon=True).start()
    time.sleep(2)
    seconds = []
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        client.get("/config")
        for _ in range(20):
            began = time.perf_counter()
            event = client.post("/gradio_api/call/readings", json={"data": []}).json()["event_id"]
            client.get(f"/gradio_api/call/readings/{event}")
            seconds.append(time.perf_counter() - began)
    middle, worst = statistics.median(seconds), max(seconds)
    print(f"another's page, {what:22}{middle:7.3f} s   worst {worst:.3f} s, limit 0.3 s")


def main() -> None:
    with started("benchmarks/bare_page.py", "{port}") as (address, _):
        bare_ready, bare_first = interactive_s(address), first_event_s(address)
    with tempfile.TemporaryDirectory() as folder, started(*page_server(folder, 0.2)) as (address, process):
        ready, first = interactive_s(address), first_event_s(address)
        told = f"bare Gradio {bare_ready:.2f} s, ratio {ready / bare_ready:.2f}"
        print(f"time to interactive                 {ready:7.2f} s   {told}")
        told = f"bare Gradio {bare_first:.3f} s, ratio {first / bare_first:.2f}"
        print(f"first event after submit            {first:7.3f} s   {told}")
        many_at_once(address, process)
    for busy, what in ((False, "a tool that waits"), (True, "a tool in pure Python")):
        with tempfile.TemporaryDirectory() as folder, started(*page_server(folder, 10, busy=busy)) as (address, _):
            beside_a_tool(address, what)


if __name__ == "__main__":
    main()
