"""Weights brought from folders, zips and a real server on loopback."""

from __future__ import annotations

import hashlib
import stat
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.loopback import Quiet, listening
from tools.errors import BadInputError, UnavailableError
from tools.models import bring as bring_module
from tools.models.bring import Brought, bring
from tools.models.card import ModelCard, Weights
from tools.models.hub import Choice, Hub

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(Quiet, BaseHTTPRequestHandler):
    """Serves CONTENT in the ways that servers have."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    """The Range header of every request, empty where there was none."""
    cuts: ClassVar[list[int]] = []
    """After how many bytes each of the next answers breaks off."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        Server.asked.append(wanted)
        match self.path.partition("?")[0]:
            case "/missing.pt":
                self.send_error(404)
            case "/page.pt":
                self._send(b"<html></html>", kind="text/html")
            case "/moved.pt":
                self.send_response(302)
                self.send_header("Location", "/net.pt")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/slow.pt":
                self.send_response(200)
                self.send_header("Content-Length", "10")
                self.end_headers()
                time.sleep(2)
            case "/norange.pt":
                self._send(CONTENT)
            case _:
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
                self._send(CONTENT[start:], status=206 if start else 200, etag='"one"')

    def _send(self, body: bytes, status: int = 200, kind: str = "application/octet-stream", etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        cut = Server.cuts.pop(0) if Server.cuts else None
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[str]:
    Server.asked, Server.cuts = [], []
    with listening(Server) as address:
        yield address


def card(file: str = "net.pt", sha256: dict[str, str] | None = None) -> ModelCard:
    return ModelCard(
        name="net", title="net", verb="segment", runtime="hu_threshold", version="1", seconds=1, licence="MIT",
        source="test", weights=Weights(file=file, sha256=sha256 or {}),
    )  # fmt: skip


def fetch(card: ModelCard, folder: Path, source: object, **given: Any) -> Brought:
    return bring(card, folder / "weights", str(source), lambda done, total: None, **given)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def nothing_is_left(folder: Path) -> bool:
    return not [p for p in (folder / "weights").rglob("*") if p.is_file()]


# --- over HTTP


def test_a_file_is_fetched_with_progress_and_its_hash_is_told(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    brought = bring(card(), tmp_path / "weights", f"{server}/net.pt?key=secret", lambda *amounts: seen.append(amounts))
    assert brought.path.read_bytes() == CONTENT
    assert (dict(brought.sha256), brought.checked) == ({"net.pt": SHA256}, False)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(p.name for p in (tmp_path / "weights").iterdir()) == ["net.pt"]


def test_a_cut_connection_is_taken_up_where_it_broke(server: str, tmp_path: Path) -> None:
    Server.cuts = [1_000_000, 2_000_000]
    brought = fetch(card(sha256={"net.pt": SHA256}), tmp_path, f"{server}/net.pt")
    assert brought.path.read_bytes() == CONTENT
    assert brought.checked
    assert Server.asked[0] == ""
    assert [a.startswith("bytes=") for a in Server.asked[1:]] == [True, True]


def test_a_later_command_goes_on_where_an_earlier_one_ended(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.models.download._PAUSE_S", 0)
    monkeypatch.setattr("tools.models.download.ATTEMPTS", 1)
    Server.cuts = [3_000_000]
    with pytest.raises(UnavailableError, match=r"broke off 1 times .*; 3.0 MB are kept: run the same command"):
        fetch(card(), tmp_path, f"{server}/net.pt")
    assert fetch(card(), tmp_path, f"{server}/net.pt").path.read_bytes() == CONTENT
    assert Server.asked == ["", "bytes=3000000-"]


def test_a_server_without_ranges_is_asked_from_the_start(server: str, tmp_path: Path) -> None:
    Server.cuts = [1_000_000]
    assert fetch(card(), tmp_path, f"{server}/norange.pt").path.read_bytes() == CONTENT
    assert Server.asked == ["", ""]


def test_redirects_are_followed(server: str, tmp_path: Path) -> None:
    assert fetch(card(), tmp_path, f"{server}/moved.pt").path.read_bytes() == CONTENT


def test_a_wrong_hash_leaves_what_was_there(server: str, tmp_path: Path) -> None:
    kept = tmp_path / "weights" / "net.pt"
    kept.parent.mkdir()
    kept.write_bytes(b"before")
    with pytest.raises(BadInputError, match=r"'net.pt' must have sha256 0000000000000000…, got .*nothing was changed"):
        fetch(card(sha256={"net.pt": "0" * 64}), tmp_path, f"{server}/net.pt")
    assert kept.read_bytes() == b"before"
    assert [p.name for p in kept.parent.iterdir()] == ["net.pt"]


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/missing.pt?key=secret", BadInputError, r"/missing.pt answered 404 Not Found: check the address"),
        ("/page.pt", BadInputError, "is a web page"),
    ],
)
def test_what_is_no_file_is_said(server: str, tmp_path: Path, path: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        fetch(card(), tmp_path, server + path)
    assert "secret" not in str(caught.value)
    assert nothing_is_left(tmp_path)


def test_a_silent_server_is_given_up(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.models.download._PAUSE_S", 0)
    monkeypatch.setattr("tools.models.download.ATTEMPTS", 2)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="broke off 2 times"):
        fetch(card(), tmp_path, f"{server}/slow.pt", silence_s=0.2)
    assert time.monotonic() - began < 2


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        fetch(card(), tmp_path, "http://127.0.0.1:9/net.pt")


@pytest.mark.parametrize("source", ["ftp://127.0.0.1/net.pt", "http:///net.pt", "no/such/folder"])
def test_other_places_are_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(BadInputError, match="--from"):
        fetch(card(), tmp_path, source)


# --- folders and archives


def test_a_zip_becomes_a_folder_without_its_sole_top(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "b.zip", {"spleen-1/models/model.pt": b"m", "spleen-1/configs/inference.json": b"{}"})
    inside = {"bundle/models/model.pt": hashlib.sha256(b"m").hexdigest()}
    brought = fetch(card("bundle", inside), tmp_path, archive)
    assert (brought.path / "configs" / "inference.json").read_bytes() == b"{}"
    assert set(brought.sha256) == {"bundle/models/model.pt", "bundle/configs/inference.json"}


@pytest.mark.parametrize("name", ["../evil.pt", "a/../../evil.pt", "/tmp/evil.pt", "C:/evil.pt", "..\\evil.pt"])
def test_a_zip_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "b.zip", {"good.pt": b"x", name: b"evil"})
    with pytest.raises(BadInputError, match="outside its own folder"):
        fetch(card("bundle"), tmp_path, archive)
    assert nothing_is_left(tmp_path)
    assert not (tmp_path / "evil.pt").exists()


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        link = zipfile.ZipInfo("model.pt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadInputError, match=r"the link 'model.pt'"):
        fetch(card("bundle"), tmp_path, tmp_path / "b.zip")


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "b.zip", {"zeros.pt": bytes(80_000_000)})
    with pytest.raises(BadInputError, match=r"would grow from 0.1 to 80 MB"):
        fetch(card("bundle"), tmp_path, archive)
    assert nothing_is_left(tmp_path)


def test_a_zip_that_is_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    archive = zipped(tmp_path / "b.zip", {"a.pt": b"x" * 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(UnavailableError, match="the disk has 0 MB free"):
        fetch(card("bundle"), tmp_path, archive)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "b.zip", {"a.pt": bytes(range(256)) * 10})
    damaged = bytearray(archive.read_bytes())
    damaged[60] ^= 0xFF
    archive.write_bytes(damaged)
    with pytest.raises(BadInputError, match="no zip that can be read"):
        fetch(card("bundle"), tmp_path, archive)
    assert nothing_is_left(tmp_path)


def test_a_folder_is_copied_and_replaces_what_was_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, name in ((first, "a.bin"), (second, "b.bin")):
        folder.mkdir()
        (folder / name).write_text(name)
    fetch(card("bundle"), tmp_path, first)
    brought = fetch(card("bundle"), tmp_path, second)
    assert [p.name for p in brought.path.iterdir()] == ["b.bin"]
    assert [p.name for p in brought.path.parent.iterdir()] == ["bundle"]


def test_a_folder_gives_the_one_file_that_a_card_wants(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    with pytest.raises(BadInputError, match=r"holds no 'net.pt'"):
        fetch(card(), tmp_path, tmp_path / "given")
    (tmp_path / "given" / "net.pt").write_bytes(b"w")
    assert fetch(card(), tmp_path, tmp_path / "given").path.read_bytes() == b"w"


def test_the_wrong_kind_of_thing_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"needs a file 'net.pt', got 'net.onnx'"):
        fetch(card(), tmp_path, tmp_path / "net.onnx")
    with pytest.raises(BadInputError, match=r"needs a folder 'bundle': give a folder or a zip, got 'net.onnx'"):
        fetch(card("bundle"), tmp_path, tmp_path / "net.onnx")
    with pytest.raises(BadInputError, match="is empty"):
        fetch(card("bundle"), tmp_path, tmp_path / "empty")


def test_a_torch_file_is_not_taken_for_a_zip(tmp_path: Path) -> None:
    import torch

    torch.save({"w": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(BadInputError, match="needs a folder"):
        fetch(card("bundle"), tmp_path, tmp_path / "model.pt")


def test_a_hub_without_its_package_or_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args: object, **kwargs: object) -> None:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(UnavailableError, match="the hub cannot be reached for lab/net"):
        fetch(card("bundle"), tmp_path, "hf:lab/net@main")
    monkeypatch.setattr(bring_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install huggingface_hub"):
        fetch(card("bundle"), tmp_path, "hf:lab/net")


def test_a_result_names_the_hash_of_weights_that_a_card_does_not(tmp_path: Path) -> None:
    fetch(card(), tmp_path, _file(tmp_path / "net.pt", CONTENT))
    hub = Hub([card()], weights_dir=tmp_path / "weights")
    used = hub.use(Choice(hub.get("net"), "the test"), lambda runtime: 1)
    assert used.model.weights_sha256 == SHA256


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
