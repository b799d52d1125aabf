"""Who is let in, and that one browser gets nothing of another's."""

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.testclient import TestClient

from agent.settings import Settings
from ui.access.cookies import COOKIE, Signer
from ui.access.passwords import put
from ui.server import guard

PASSWORD = "correct horse battery"
PROXY = {"auth_header": "X-Forwarded-User", "trusted_proxies": ("10.1.0.0/16",)}


def page(uploads) -> FastAPI:
    """The addresses that Gradio serves, and nothing behind them; the real ones are asked in tests/ui/test_server.py."""
    app = FastAPI()

    @app.get("/health")
    @app.get("/")
    @app.get("/config")
    @app.get("/gradio_api/queue/data")
    @app.get("/gradio_api/heartbeat/{session_hash}")
    async def shown(session_hash: str = "") -> dict[str, str]:
        return {}

    @app.post("/gradio_api/upload")
    async def upload(request: Request) -> list[str]:
        uploads["/tmp/gradio/a.txt"] = await request.body()
        return list(uploads)

    @app.get("/gradio_api/file={path:path}")
    @app.get("/file={path:path}")
    async def file(path: str) -> Response:
        return Response(uploads[path])

    @app.post("/gradio_api/queue/join")
    @app.post("/gradio_api/cancel")
    async def event(request: Request) -> dict[str, object]:
        return dict(await request.json())

    return app


def client_of(tmp_path, address="127.0.0.1", **settings):
    given = Settings(readings_dir=tmp_path / "readings", data_dir=tmp_path / "data", **settings)
    app = page({})
    guard(app, given, "127.0.0.1")
    return browser(app, address)


@pytest.fixture
def app(tmp_path):
    return client_of(tmp_path).app


def browser(app, address="127.0.0.1"):
    return TestClient(app, base_url="http://127.0.0.1:7860", client=(address, 1234))


def test_each_browser_gets_a_cookie_that_scripts_cannot_read(app):
    one, two = browser(app).get("/"), browser(app).get("/")
    header = one.headers["set-cookie"]
    assert header.startswith(COOKIE + "=")
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert one.cookies[COOKIE] != two.cookies[COOKIE]


def test_a_cookie_holds_over_a_restart_and_a_forged_one_does_not(tmp_path):
    first = client_of(tmp_path)
    cookie = first.get("/").cookies[COOKIE]
    again = client_of(tmp_path)
    again.cookies.set(COOKIE, cookie)
    assert "set-cookie" not in again.get("/").headers
    forged = client_of(tmp_path)
    forged.cookies.set(COOKIE, cookie[:-1] + ("0" if cookie[-1] != "0" else "1"))
    assert "set-cookie" in forged.get("/").headers


def test_old_cookies_and_those_of_another_server_are_refused(monkeypatch):
    signer = Signer(b"k" * 32)
    value = signer.signed(signer.new())
    assert signer.read(value) is not None
    assert Signer(b"x" * 32).read(value) is None
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert signer.read(value) is None


def test_an_uploaded_file_is_shown_to_its_uploader_only(app):
    mine, other = browser(app), browser(app)
    for each in (mine, other):
        each.get("/")
    (path,) = mine.post("/gradio_api/upload", files={"files": ("a.txt", b"canary")}).json()
    for address in (f"/gradio_api/file={path}", f"/file={path}"):
        refused = other.get(address)
        assert refused.status_code == 404
        assert "canary" not in refused.text
    assert "canary" in mine.get(f"/gradio_api/file={path}").text


def test_the_events_of_a_page_are_its_own_browsers(app):
    mine, other = browser(app), browser(app)
    for each in (mine, other):
        each.get("/")
    body = {"data": [], "fn_index": 0, "session_hash": "abc"}
    assert mine.post("/gradio_api/queue/join", json=body).json() == body  # it arrives as it was sent
    assert other.post("/gradio_api/queue/join", json=body).status_code == 403
    assert other.get("/gradio_api/queue/data?session_hash=abc").status_code == 403
    assert other.get("/gradio_api/heartbeat/abc").status_code == 403
    cancel = {"session_hash": "abc", "fn_index": 0, "event_id": "x"}
    assert other.post("/gradio_api/cancel", json=cancel).status_code == 403


def test_another_sites_page_may_not_act(app):
    client = browser(app)
    client.get("/")
    refused = client.post("/gradio_api/queue/join", json={}, headers={"origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "evil.example" in refused.json()["detail"]


def test_nobody_can_say_who_they_are_by_themselves(app):
    client = browser(app)
    client.get("/")
    (path,) = client.post("/gradio_api/upload", files={"files": ("a.txt", b"canary")}).json()
    forged = browser(app).get(f"/gradio_api/file={path}", headers={"x-readingroom-who": "user:anna"})
    assert forged.status_code == 404


# --- with passwords


@pytest.fixture
def locked(tmp_path):
    path = tmp_path / "users"
    put(path, "anna", PASSWORD)
    put(path, "bert", PASSWORD + "!")
    return client_of(tmp_path, password_file=path)


def test_nothing_but_health_is_there_before_the_sign_in(locked):
    assert locked.get("/health").status_code == 200
    for path in ("/config", "/gradio_api/info", "/files/x/y", "/gradio_api/file=/etc/passwd", "/assets/x.js"):
        assert locked.get(path).status_code == 401, path
    assert locked.post("/gradio_api/queue/join", json={}).status_code == 401
    page = locked.get("/", headers={"accept": "text/html"})
    assert page.url.path == "/login"
    assert "Sign in" in page.text


def test_signing_in_and_out(locked, tmp_path):
    wrong = locked.post("/login", data={"username": "anna", "password": "wrong"}, headers={"accept": "text/html"})
    assert wrong.status_code == 401
    assert "Name or password is wrong." in wrong.text
    assert locked.post("/login", data={"username": "anna", "password": PASSWORD}).json() == {"success": True}
    assert locked.get("/config").status_code == 200
    put(tmp_path / "users", "anna", "another password")
    assert locked.get("/config").status_code == 401  # a new password ends what was signed in with the old one
    locked.post("/login", data={"username": "anna", "password": "another password"})
    assert locked.get("/config").status_code == 200
    locked.get("/logout")
    assert locked.get("/config").status_code == 401


def test_guessing_is_slowed_down(locked, monkeypatch):
    monkeypatch.setattr("ui.access.passwords.matches", lambda password, kept: False)
    codes = [locked.post("/login", data={"username": "anna", "password": str(n)}).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert locked.post("/login", data={"username": "bert", "password": "x"}).status_code == 401


# --- behind a proxy


def test_a_proxys_header_is_believed_from_its_address_only(tmp_path):
    known = client_of(tmp_path, address="10.1.2.3", **PROXY)
    assert known.get("/config", headers={"x-forwarded-user": "anna"}).status_code == 200
    unsaid = known.get("/config")
    assert unsaid.status_code == 401
    assert "X-Forwarded-User" in unsaid.json()["detail"]
    elsewhere = browser(known.app, address="10.2.0.1")
    assert elsewhere.get("/config", headers={"x-forwarded-user": "anna"}).status_code == 403


def test_settings_that_would_let_everybody_in_are_refused():
    with pytest.raises(ValidationError, match="need each other"):
        Settings(auth_header="X-Forwarded-User")
    with pytest.raises(ValidationError, match="exclude each other"):
        Settings(password_file="users", **PROXY)
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings(auth_header="X-Forwarded-User", trusted_proxies=("proxy.example",))


def test_a_proxys_host_name_is_known_where_it_was_said(tmp_path):
    client = client_of(tmp_path, public_hosts=("reading.example",))
    assert client.get("/health", headers={"host": "reading.example"}).status_code == 200
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
