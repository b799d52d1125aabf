"""What the settings page keeps, shows and tries."""

from __future__ import annotations

import stat
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest

from agent.errors import ConfigError, RunError
from agent.settings import Settings, page_file
from tests.fake_assistant import FakeAssistant
from tests.loopback import Quiet, listening
from ui.components.settings import fixed_html, pacs_html, preview_html
from ui.preferences import Preferences, Wish

KEY = "sk-canary-4711"


@pytest.fixture
def preferences():
    return Preferences(FakeAssistant(settings=Settings()))


def test_what_is_kept_holds_for_the_next_start(preferences):
    preferences.keep(Wish("http://127.0.0.1:1/v1", "small", KEY, "local", "ask-before-running"))
    again = Settings()
    assert (again.llm_base_url, again.llm_model, again.egress) == ("http://127.0.0.1:1/v1", "small", "local")
    assert again.llm_api_key.get_secret_value() == KEY
    assert again.approval == "ask-before-running"
    assert preferences.settings.approval == "ask-before-running"  # and at once
    assert stat.S_IMODE(page_file().stat().st_mode) == 0o600
    preferences.keep(Wish())
    assert Settings().uses_embedded_llm
    assert Settings().approval == "auto"


def test_an_empty_key_keeps_the_kept_one_but_not_for_another_address(preferences):
    preferences.keep(Wish("http://127.0.0.1:1/v1", "small", KEY))
    preferences.keep(Wish("http://127.0.0.1:1/v1", "other"))
    assert Settings().llm_api_key.get_secret_value() == KEY
    preferences.keep(Wish("https://evil.example/v1", "other"))
    assert Settings().llm_api_key is None


def test_the_environment_and_the_folders_file_go_first(monkeypatch, tmp_path):
    monkeypatch.setenv("READINGROOM_LLM_MODEL", "from-outside")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readingroom.toml").write_text('approval = "ask-before-export"\n', encoding="utf-8")
    preferences = Preferences(FakeAssistant(settings=Settings()))
    assert preferences.fixed() == {"llm_model": "READINGROOM_LLM_MODEL", "approval": "readingroom.toml"}
    preferences.keep(Wish("http://127.0.0.1:1/v1", "mine", approval="auto"))
    assert (Settings().llm_model, Settings().approval) == ("from-outside", "ask-before-export")
    assert "mine" not in page_file().read_text(encoding="utf-8")
    assert "READINGROOM_LLM_MODEL" in fixed_html(preferences.fixed())


@pytest.mark.parametrize(
    ("wish", "told"),
    [(Wish("ftp://x"), "llm_base_url"), (Wish(egress="all"), "egress"), (Wish(approval="never"), "approval")],
)
def test_a_wrong_value_is_named_and_nothing_is_kept(preferences, wish, told):
    with pytest.raises(ConfigError, match=told):
        preferences.keep(wish)
    assert not page_file().exists()


def test_other_settings_stay_as_they_were(tmp_path):
    given = Settings(readings_dir=tmp_path / "mine", max_steps=7)
    preferences = Preferences(FakeAssistant(settings=given))
    preferences.keep(Wish(approval="ask-before-export"))
    assert (preferences.settings.readings_dir, preferences.settings.max_steps) == (tmp_path / "mine", 7)


def test_what_would_leave_is_shown_as_it_would_leave(preferences):
    address, policy, sent = preferences.preview(Wish("https://llm.example/v1", "m"))
    assert policy == "remote-deidentified"
    for secret in ("John Smith", "4711-22", "2024-03-01"):
        assert secret not in sent
    assert "6 mm" in sent
    shown = preview_html(address, policy, sent)
    assert "no pictures" in shown
    _, policy, sent = preferences.preview(Wish("https://llm.example/v1", "m", egress="remote-allowed"))
    assert (policy, "John Smith" in sent) == ("remote-allowed", True)
    with pytest.raises(ConfigError, match="local"):
        preferences.preview(Wish("https://llm.example/v1", "m", egress="local"))


def test_a_key_is_never_shown(preferences):
    preferences.keep(Wish("http://127.0.0.1:1/v1", "small", KEY))
    address, policy, sent = preferences.preview(Wish("http://127.0.0.1:1/v1", "small"))
    assert KEY not in preview_html(address, policy, sent)


def test_pacs_credentials_are_not_shown():
    given = Settings(
        pacs={"main": {"url": "https://p.example/dw", "username": "reader", "password": "canary-password"}}
    )
    shown = pacs_html(given.pacs)
    assert "p.example" in shown
    assert "canary-password" not in shown


class _Endpoint(Quiet, BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.headers["Authorization"], body))
        answer = b"""{"id": "1", "object": "chat.completion", "created": 0, "model": "small", "choices": [{"index": 0,
            "finish_reason": "stop", "message": {"role": "assistant", "content": "ready"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def test_a_model_is_tried_before_it_is_kept(preferences):
    with listening(_Endpoint) as address:
        url = f"{address}/v1"
        said = preferences.try_out(Wish(url, "small", KEY))
    assert "“ready”" in said
    assert _Endpoint.asked[0][0] == f"Bearer {KEY}"
    assert not page_file().exists()
    with pytest.raises(RunError, match=url):
        preferences.try_out(Wish(url, "small"))
