"""Uploads that are too large are refused early, and leave nothing behind."""

from __future__ import annotations

import pytest

from ui.access.uploads import UPLOAD, LimitUploads, UploadLimits

MB = 1_000_000


class Behind:
    """Takes an upload as Gradio's parser does, and counts what it was given."""

    def __init__(self) -> None:
        self.taken = 0
        self.stopped = ""

    async def __call__(self, scope, receive, send):
        from starlette.formparsers import MultiPartException

        status, more = 200, True
        try:
            while more:
                message = await receive()
                self.taken += len(message.get("body", b""))
                more = message.get("more_body", False)
        except MultiPartException as error:
            status, self.stopped = 400, error.message
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": self.stopped.encode()})


async def _upload(limits, chunks, said=None):
    """Return the answer's status and words, what took the upload, and how many pieces were unread when it came."""
    sent, unread, behind = [], [], Behind()
    parts = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    parts.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)
        unread.append(len(parts))

    headers = [(b"content-length", str(said).encode())] if said is not None else []
    scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": headers}
    await LimitUploads(behind, limits)(scope, receive, send)
    text = b"".join(m.get("body", b"") for m in sent[1:]).decode()
    return sent[0]["status"], text, behind, unread[1]


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr("ui.access.early.LINGER_S", 0.0)


@pytest.fixture
def limits(tmp_path):
    return UploadLimits(10 * MB, {"uploads": tmp_path}, free_bytes=lambda folder: 10**12)


async def test_three_gigabytes_are_refused_before_a_byte_is_read(limits):
    status, text, behind, unread = await _upload(limits, [b"x"] * 5, said=3_000_000_000)
    assert status == 413
    assert "more than 10 MB" in text
    assert "READINGROOM_MAX_UPLOAD_MB" in text
    assert (behind.taken, unread) == (0, 6)


async def test_an_upload_that_lies_about_its_size_is_stopped_at_the_limit(limits):
    status, text, behind, unread = await _upload(limits, [b"x" * MB] * 50, said=5)
    assert status == 413
    assert "more than 10 MB" in text
    assert behind.taken == 10 * MB
    assert unread == 40


async def test_an_upload_without_a_size_is_counted_too(limits):
    status, _, _, _ = await _upload(limits, [b"x" * MB] * 11)
    assert status == 413


async def test_what_is_within_the_limit_passes(limits):
    status, _, behind, _ = await _upload(limits, [b"x" * MB] * 10, said=10 * MB)
    assert (status, behind.taken) == (200, 10 * MB)


@pytest.mark.parametrize("full", ["uploads", "readings"])
async def test_a_full_disk_is_said_before_it_is_full(tmp_path, full):
    folders = {name: tmp_path / name for name in ("uploads", "readings")}
    limits = UploadLimits(10 * MB, folders, lambda folder: 512 * 2**20 + (MB if folder.name == full else 9 * MB))
    status, text, behind, _ = await _upload(limits, [b"x"], said=5 * MB)
    assert status == 507
    assert f"the disk with the {full} has no room for 5 MB" in text
    assert behind.taken == 0
    status, _, _, _ = await _upload(limits, [b"x"], said=MB)
    assert status == 200


def test_the_disks_looked_at_are_those_that_uploads_are_really_written_to(tmp_path, monkeypatch):
    from agent.settings import Settings

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "large disk" / "uploads"))  # as Gradio itself reads it
    limits = UploadLimits.of(Settings(readings_dir=tmp_path / "readings", max_upload_mb=7))
    assert limits.max_bytes == 7 * MB
    assert limits.folders == {"uploads": tmp_path / "large disk" / "uploads", "readings": tmp_path / "readings"}
    assert limits.refusal(MB) is None  # neither is there yet: the disk of the nearest folder counts
