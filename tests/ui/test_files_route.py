"""Files of readings over HTTP: pictures are shown, everything else is a download."""

import asyncio

import pytest

from ui.shelf import Shelf


@pytest.fixture
def shelf():
    return Shelf()


async def _get(app, path):
    """Call an ASGI application once."""
    sent, asked = [], []

    async def receive():
        if asked:
            await asyncio.Event().wait()  # a client that stays connected
        asked.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": [], "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def app(shelf):
    from fastapi import FastAPI

    from ui.server import add_routes

    app = FastAPI()
    add_routes(app, shelf, lambda request, path: path.name != "hers.png")
    return app


@pytest.mark.parametrize("name", ["draft.md", "page.html", "lungs.nii.gz", "picture.svg"])
async def test_files_are_downloads(app, shelf, tmp_path, name):
    (tmp_path / name).write_text("<script>alert(1)</script>", encoding="utf-8")
    status, headers, body = await _get(app, shelf.put(tmp_path / name, tmp_path))
    assert status == 200
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert body == b"<script>alert(1)</script>"


async def test_pictures_are_shown(app, shelf, tmp_path):
    (tmp_path / "key.png").write_bytes(b"\x89PNG")
    status, headers, body = await _get(app, shelf.put(tmp_path / "key.png", tmp_path))
    assert (status, headers["content-type"], body) == (200, "image/png", b"\x89PNG")
    assert headers["content-disposition"].startswith("inline")


async def test_a_key_opens_its_own_file_only(app, shelf, tmp_path):
    (tmp_path / "key.png").write_bytes(b"\x89PNG")
    address = shelf.put(tmp_path / "key.png", tmp_path)
    assert (await _get(app, address.replace("key.png", "other.png")))[0] == 404
    assert (await _get(app, "/files/nonsense/key.png"))[0] == 404


async def test_a_file_of_another_reading_is_not_there(app, shelf, tmp_path):
    (tmp_path / "hers.png").write_bytes(b"\x89PNG")
    assert (await _get(app, shelf.put(tmp_path / "hers.png", tmp_path)))[0] == 404
