"""A real Orthanc on loopback, with its own port, storage and users; and servers that misbehave."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.loopback import Quiet, listening
from tools.pacs.server import PacsServer

PLUGINS = Path("/usr/share/orthanc/plugins")
USER, PASSWORD = "reader", "canary-password"
OWN_AE = "READINGROOM"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """Where the server listens."""

    http_port: int
    dicom_port: int
    receive_port: int

    @property
    def web(self) -> PacsServer:
        return PacsServer(
            url=f"http://127.0.0.1:{self.http_port}/dicom-web", username=USER, password=SecretStr(PASSWORD)
        )

    def dimse(self, retrieve: str = "c-get") -> PacsServer:
        return PacsServer(
            host="127.0.0.1",
            port=self.dicom_port,
            ae_title="ORTHANC",
            own_ae_title=OWN_AE,
            retrieve=retrieve,
            receive_port=self.receive_port,
        )

    def get(self, path: str) -> object:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        import base64

        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
        with urllib.request.urlopen(request, timeout=5) as reply:
            return json.load(reply)


def orthanc_program() -> str | None:
    return shutil.which("Orthanc") or next(iter(map(str, Path("/usr/sbin").glob("Orthanc"))), None)


@pytest.fixture(scope="session")
def orthanc() -> Iterator[Orthanc]:
    program = orthanc_program()
    if program is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc is not installed; apt-get install orthanc orthanc-dicomweb")
    server = Orthanc(free_port(), free_port(), free_port())
    folder = Path(tempfile.mkdtemp(prefix="readingroom-orthanc-"))
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "DicomPort": server.dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"reader": [OWN_AE, "127.0.0.1", server.receive_port]},
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "ConcurrentJobs": 2,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"Orthanc ended: {log.read_text()[-2000:]}")
        try:
            server.get("/system")
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Orthanc did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], PacsServer]]:
    """Start an HTTP server that answers as a function says; gives its settings with a limit of one second."""
    running = ExitStack()

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> PacsServer:
        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

        return PacsServer(url=f"{running.enter_context(listening(Handler))}/dicom-web", timeout_s=1.0)

    with running:
        yield start
