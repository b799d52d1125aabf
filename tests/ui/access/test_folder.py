"""The page in a folder of a site: its cookie, its sign-in, and that nothing lies beside the folder."""

import pytest
from pydantic import ValidationError

from agent.settings import Settings
from tests.ui.access.test_gate import PASSWORD, client_of
from ui.access.passwords import put

ROOT = "/readingroom"


def test_a_cookie_goes_to_the_folder_only(tmp_path):
    client = client_of(tmp_path, root_path=ROOT)
    given = client.get(f"{ROOT}/config")
    assert given.status_code == 200
    assert f"; Path={ROOT}/;" in given.headers["set-cookie"]
    assert "set-cookie" not in client.get(f"{ROOT}/config").headers  # known again
    assert "cookie" not in client.get("/another/config").request.headers


def test_nothing_lies_beside_the_folder(tmp_path):
    client = client_of(tmp_path, root_path=ROOT)
    short = client.get(f"{ROOT}?reading=r1", follow_redirects=False)
    assert (short.status_code, short.headers["location"]) == (307, f"{ROOT}/?reading=r1")
    for path in ("/", "/config", "/health", f"{ROOT}2/config", f"/x{ROOT}/config", f"{ROOT}{ROOT}/config"):
        beside = client.get(path, headers={"x-forwarded-prefix": ROOT})
        assert beside.status_code == 404, path
    told = client.get("/config").json()["detail"]
    assert told == (
        "the page lies at /readingroom/ (READINGROOM_ROOT_PATH), got '/config': a proxy must pass paths on unchanged"
    )


def test_no_header_makes_a_folder(tmp_path):
    client = client_of(tmp_path)
    given = client.get("/config", headers={"x-forwarded-prefix": ROOT, "x-script-name": ROOT})
    assert "; Path=/;" in given.headers["set-cookie"]
    assert client.get(f"{ROOT}/config").status_code == 404


def test_a_path_in_other_letters_is_checked_like_any_other(tmp_path):
    client = client_of(tmp_path, root_path=ROOT)
    assert client.get("/%72eadingroom/config").status_code == 200
    for path in ("gradio_api/file=/etc/passwd", "gradio_api%2Ffile=/etc/passwd", "gradio_api/file%3D/etc/passwd"):
        assert client.get(f"{ROOT}/{path}").status_code == 404, path


def test_signing_in_and_out_stays_in_the_folder(tmp_path):
    put(tmp_path / "users", "anna", PASSWORD)
    client = client_of(tmp_path, password_file=tmp_path / "users", root_path=ROOT)
    html = {"accept": "text/html"}
    form = client.get(f"{ROOT}/view/r1/img1/thumbnail.png", headers=html)
    assert form.url.path == f"{ROOT}/login"
    assert 'action="' not in form.text  # a form without one goes to where it was found
    told = {"username": "anna", "password": PASSWORD}
    signed_in = client.post(f"{ROOT}/login", data=told, headers=html)
    assert (signed_in.url.path, signed_in.status_code) == (f"{ROOT}/", 200)
    assert client.get(f"{ROOT}/config").status_code == 200
    assert client.get(f"{ROOT}/logout", headers=html).url.path == f"{ROOT}/login"
    assert client.get(f"{ROOT}/config").status_code == 401


@pytest.mark.parametrize("wrong", ["readingroom", "/readingroom/", "/", "//evil.example", "/a b", "/../x", "/a;Path=/"])
def test_a_folder_that_is_none_is_refused(wrong):
    with pytest.raises(ValidationError, match=r"root_path\n.*such as '/readingroom'"):
        Settings(root_path=wrong)
