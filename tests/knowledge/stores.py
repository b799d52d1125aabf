"""What the tests of the report store share: reports, and a Chroma server of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from knowledge.report import Report, report_from_sections
from knowledge.search import Knowledge

Opener = Callable[..., Knowledge]


def start_server(folder: Path, port: int | None = None) -> tuple[subprocess.Popen[bytes], str]:
    """Start `chroma run` on loopback and wait until it answers."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder), "--host", "127.0.0.1"]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            if httpx.get(f"{url}/api/v2/heartbeat", timeout=1).status_code == 200:
                return process, url
        except httpx.HTTPError:
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("chroma run did not answer within 30 s")


def stop_server(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def make_report(name: str, findings: str, impression: str = "", **fields: object) -> Report:
    return report_from_sections(
        [("findings", findings), ("impression", impression)], **{"id": name, "source": "test", **fields}
    )


REPORTS = [
    make_report("R1", "The heart is enlarged. No pleural effusion.", "Cardiomegaly.", modality="DX", body_part="chest"),
    make_report("R2", "Small left pleural effusion. The heart size is normal.", "Left effusion."),
    make_report("R3", "Large right pleural effusion. The heart is enlarged.", "Cardiomegaly and effusion."),
    make_report(
        "R4", "The lungs are clear. No pneumothorax, effusion or consolidation. Heart size is normal.", "Normal chest."
    ),
    make_report("R5", "Possible left pleural effusion. The heart is normal in size.", ""),
    make_report("R6", "Healed left rib fractures. Lungs are clear.", "Old rib fractures.", modality="CT"),
]
