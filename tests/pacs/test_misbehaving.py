"""A PACS that is down, slow or answers with garbage: one clear line within the time limit, nothing left behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from agent.settings import Settings
from tests.pacs.conftest import free_port
from tools.contract import ToolContext
from tools.errors import BadInputError, UnavailableError
from tools.pacs.client import dicom_dates, open_pacs, query_of
from tools.pacs.server import PacsServer
from tools.verbs.fetch_study import fetch_study
from tools.verbs.find_studies import find_studies
from tools.workspace import Workspace

LIMIT_S = 4.0  # four times the limit in the settings: threads start, and machines are busy


def context(folder: Path, *servers: PacsServer) -> ToolContext:
    named = dict(zip(("main", "other"), servers, strict=False))
    workspace = Workspace(folder / "reading")
    return ToolContext(workspace, "s1", None, None, None, open_pacs=lambda name: open_pacs(named, name))


def reply(status: int, body: bytes, kind: str = "application/dicom+json") -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte each quarter second: never silent for as long as a time-out for silence."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.end_headers()
    for _ in range(40):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.25)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"[{")


GARBAGE = {
    "no JSON": reply(200, b"<html>Please log in</html>", "text/html"),
    "another JSON": reply(200, b'{"error": 1}'),
    "a list of numbers": reply(200, b"[1, 2, 3]"),
    "values of no kind": reply(200, b'[{"0020000D": {"vr": "ZZ", "Value": [{"a": 1}]}}]'),
    "a study without uid": reply(200, b'[{"00080020": {"vr": "DA", "Value": ["20240301"]}}]'),
    "random bytes": reply(200, bytes(range(256)) * 4),
    "cut short": cut_short,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_one_line(answering, tmp_path: Path, name: str) -> None:
    ctx = context(tmp_path, answering(GARBAGE[name]))
    with pytest.raises(
        UnavailableError, match=r"PACS 'main' \(127.0.0.1:\d+\) .*(no DICOMweb|did not answer)"
    ) as caught:
        find_studies(ctx, patient="canary-4711")
    assert "\n" not in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refuses these credentials"), (404, "does not have that"), (500, r"error \(HTTP 500\)")]
)
def test_a_refusal_names_its_status(answering, tmp_path: Path, status: int, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        find_studies(context(tmp_path, answering(reply(status, b"canary"))), patient="1")


@pytest.mark.parametrize("answer", [drip, lambda handler: time.sleep(6)], ids=["dripping", "silent"])
def test_a_slow_server_is_given_up(answering, tmp_path: Path, answer) -> None:
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="did not answer within 1 s: it is slow or hangs"):
        find_studies(context(tmp_path, answering(answer)), patient="1")
    assert time.monotonic() - started < LIMIT_S


def test_a_server_that_is_down_is_one_line(tmp_path: Path) -> None:
    port = free_port()
    web = PacsServer(url=f"http://127.0.0.1:{port}/dicom-web", timeout_s=1)
    dimse = PacsServer(host="127.0.0.1", port=port, timeout_s=1)
    ctx = context(tmp_path, web, dimse)
    for name in ("main", "other"):
        with pytest.raises(UnavailableError, match=f"PACS '{name}' .* cannot be reached: check that it runs"):
            find_studies(ctx, patient="1", server=name)


@pytest.mark.parametrize(
    "body",
    [b"", b"--x\r\nContent-Type: application/dicom\r\n\r\nnot dicom\r\n--x--\r\n", b"\0" * 500],
    ids=["empty", "no DICOM in it", "zeros"],
)
def test_a_garbled_study_leaves_nothing_behind(answering, tmp_path: Path, body: bytes) -> None:
    kind = 'multipart/related; type="application/dicom"; boundary=x'
    ctx = context(tmp_path, answering(reply(200, body, kind)))
    with pytest.raises(UnavailableError, match=r"no DICOMweb") if body else pytest.raises(Exception, match="no "):
        fetch_study(ctx, uid="1.2.3")
    assert not ctx.workspace.attachments()
    assert not list(ctx.folder.iterdir())


@pytest.fixture
def noise() -> Iterator[Callable[[bytes], PacsServer]]:
    """Start a socket that answers any connection with some bytes."""
    sockets: list[socket.socket] = []

    def start(answer: bytes) -> PacsServer:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                sockets.append(connection)
                if answer:
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return PacsServer(host="127.0.0.1", port=listener.getsockname()[1], timeout_s=1)

    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)], ids=["silent", "HTTP", "zeros"]
)
def test_what_is_no_dimse_is_one_line(noise, tmp_path: Path, answer: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"PACS 'main' .*(broke off|did not answer)"):
        find_studies(context(tmp_path, noise(answer)), patient="1")
    assert time.monotonic() - started < LIMIT_S


def test_without_a_server_the_reason_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no PACS is set up: name one in readingroom.toml as \[pacs.NAME\]"):
        find_studies(context(tmp_path), patient="1")
    plain = ToolContext(Workspace(tmp_path / "other"), "s1", None, None, None)
    with pytest.raises(UnavailableError, match="no PACS is set up"):
        fetch_study(plain, uid="1.2.3")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2024-03-01", "20240301"),
        ("20240301", "20240301"),
        ("2024-02", "20240201-20240229"),
        ("2023", "20230101-20231231"),
        ("2024-03-01/2024-03-31", "20240301-20240331"),
        ("2024-03/", "20240301-"),
        ("/2023-12", "-20231231"),
    ],
)
def test_dates_as_people_write_them(given: str, meant: str) -> None:
    assert dicom_dates(given) == meant


@pytest.mark.parametrize("given", ["yesterday", "2024-13-01", "2024-02-30", "/", "2024-03/2024-02", "01.03.2024"])
def test_what_is_no_date_is_refused(given: str) -> None:
    with pytest.raises(BadInputError, match="date must"):
        dicom_dates(given)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((None, None, None), "name a patient, a date or a modality"),
        (("*", None, None), "without wildcards"),
        (("4?11", None, None), "without wildcards"),
        (("1\\2", None, None), "without wildcards"),
        ((None, None, "CT*"), r"modality must be a DICOM code such as CT or MR, got 'CT\*'"),
    ],
)
def test_a_question_for_everything_is_refused(args, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        query_of(*args)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs 'url'"),
        ({"url": "ftp://x"}, "http or https"),
        ({"url": "https://me:key@x/dicom-web"}, "no user name or password in 'url'"),
        ({"url": "http://pacs.example/dicom-web", "token": "t"}, "credentials would travel unprotected"),
        ({"url": "https://x", "username": "u"}, "go together"),
        ({"url": "https://x", "username": "u", "password": "p", "token": "t"}, "not both"),
        ({"host": "x"}, "needs 'url'"),
        ({"host": "x", "port": 104, "ae_title": "LONGER-THAN-SIXTEEN"}, "ae_title"),
    ],
)
def test_settings_are_checked_when_they_are_read(given, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(pacs={"main": given})


def test_servers_come_from_the_environment_and_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "READINGROOM_PACS", '{"main": {"url": "https://pacs.example/dicom-web", "token": "canary-token"}}'
    )
    settings = Settings()
    assert settings.pacs["main"].token == SecretStr("canary-token")
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()
