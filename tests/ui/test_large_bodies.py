"""What is too large, sent over real HTTP to the real server: refused early, and neither disk nor memory is filled."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from tests.page_server import serving

MB = 1_000_000
LIMIT_MB = 20
OFFERED = 3_000 * MB
PART = b"x" * MB
HEAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'
UPLOAD = "/gradio_api/upload"
OTHERS = ["/gradio_api/queue/join", "/gradio_api/call/ask", "/report/x", "/plan/x/checked", "/login", "/", "/no-such"]


class Page(NamedTuple):
    folder: Path
    address: str
    process: psutil.Process

    @property
    def written(self) -> int:
        """Bytes that lie in the folder of uploads."""
        return sum(p.stat().st_size for p in (self.folder / "uploads").rglob("*") if p.is_file())

    @property
    def memory(self) -> int:
        return int(self.process.memory_info().rss)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with serving(folder, max_upload_mb=LIMIT_MB) as address:
        (process,) = [p for p in psutil.Process().children() if str(folder) in p.cmdline()]
        httpx.get(address, trust_env=False)
        yield Page(folder, address, process)


class Sent(NamedTuple):
    answer: bytes
    sent: int
    most_memory: int


def send(page: Page, path: str, framing: str, *, listens: bool = True) -> Sent:
    """Offer three gigabytes as fast as they are taken, until the server answers or hangs up.

    Args:
        page: where.
        path: to which address.
        framing: the header that says where the body ends.
        listens: whether an answer that comes meanwhile ends it, as with a proxy; else only a line that is cut.
    """
    host, _, port = page.address.removeprefix("http://").partition(":")
    head = f"{method_of(path)} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{framing}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    is_chunked = "chunked" in framing
    sent, most, answer = 0, 0, b""
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(head.encode())
        try:
            for part in (HEAD, *(PART for _ in range(OFFERED // MB))):
                if listens and select.select([line], [], [], 0)[0]:
                    break
                line.sendall(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
                sent += len(part)
                most = max(most, page.memory)
        except OSError:  # it hung up
            pass
        with suppress(OSError):
            answer = line.recv(65_536)
    return Sent(answer, sent, most)


def method_of(path: str) -> str:
    return "PUT" if path == "/report/x" else "POST"


FRAMINGS = ["Content-Length: 3000000000", "Transfer-Encoding: chunked"]


@pytest.mark.parametrize("framing", FRAMINGS, ids=["declared", "chunked"])
@pytest.mark.parametrize("path", [UPLOAD, *OTHERS])
def test_three_gigabytes_are_refused_before_they_are_read(page, path, framing):
    before = page.memory
    told = send(page, path, framing)
    assert told.answer.startswith(b"HTTP/1.1 413"), told.answer[:200]
    assert told.sent < (LIMIT_MB + 60) * MB  # what lies in the sockets' own buffers included
    assert told.most_memory - before < 150 * MB
    wait_for_nothing(page)
    assert httpx.get(f"{page.address}/health", trust_env=False).json() == {"status": "ok"}


@pytest.mark.parametrize("framing", FRAMINGS, ids=["declared", "chunked"])
@pytest.mark.parametrize("path", [UPLOAD, "/report/x"])
def test_who_sends_on_without_listening_is_cut_off(page, path, framing):
    told = send(page, path, framing, listens=False)
    assert told.sent < (LIMIT_MB + 60) * MB
    wait_for_nothing(page)


def wait_for_nothing(page: Page) -> None:
    deadline = time.monotonic() + 10
    while page.written and time.monotonic() < deadline:
        time.sleep(0.05)
    assert page.written == 0


@pytest.mark.parametrize("path", [UPLOAD, *OTHERS])
def test_who_declares_three_gigabytes_is_told_why_not(page, path):
    """Only the head is sent: the answer comes without a byte of the body."""
    host, _, port = page.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(
            f"{method_of(path)} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {OFFERED}\r\n\r\n".encode()
        )
        answer = b""
        while part := line.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert (b"READINGROOM_MAX_UPLOAD_MB" if path == UPLOAD else b"at most") in answer


@pytest.mark.parametrize("path", [UPLOAD, "/report/x"])
def test_a_body_that_is_larger_than_it_says_is_cut_at_what_it_says(page, path):
    told = send(page, path, "Content-Length: 1000", listens=False)
    assert told.sent < 60 * MB
    assert page.written < 2000
    assert httpx.get(f"{page.address}/health", trust_env=False).status_code == 200


def test_what_is_within_the_limit_is_taken(page):
    with httpx.Client(base_url=page.address, trust_env=False, timeout=60) as client:
        (path,) = client.post(UPLOAD, files={"files": ("a.nii", b"x" * (LIMIT_MB - 1) * MB)}).json()
    assert Path(path).stat().st_size == (LIMIT_MB - 1) * MB
