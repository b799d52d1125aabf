"""What the settings page keeps, shows and tries."""

from __future__ import annotations

import re
import stat
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest

from agent.errors import ConfigError, RunError
from agent.settings import Settings, page_file
from tests.fake_assistant import FakeAssistant
from tests.loopback import Quiet, listening
from ui.components.settings import preview_html
from ui.components.settings_form import Form
from ui.preferences import Preferences, Wish

KEY = "sk-canary-4711"


@pytest.fixture
def preferences():
    return Preferences(FakeAssistant(settings=Settings()))


def test_what_is_kept_holds_for_the_next_start(preferences):
    preferences.keep(
        Wish(
            llm_base_url="http://127.0.0.1:1/v1",
            llm_model="small",
            llm_api_key=KEY,
            egress="local",
            approval="ask-before-running",
        )
    )
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
    preferences.keep(Wish(llm_base_url="http://127.0.0.1:1/v1", llm_model="small", llm_api_key=KEY))
    preferences.keep(Wish(llm_base_url="http://127.0.0.1:1/v1", llm_model="other"))
    assert Settings().llm_api_key.get_secret_value() == KEY
    preferences.keep(Wish(llm_base_url="https://evil.example/v1", llm_model="other"))
    assert Settings().llm_api_key is None


def test_the_environment_and_the_folders_file_go_first(monkeypatch, tmp_path):
    monkeypatch.setenv("READINGROOM_LLM_MODEL", "from-outside")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readingroom.toml").write_text('approval = "ask-before-export"\n', encoding="utf-8")
    preferences = Preferences(FakeAssistant(settings=Settings()))
    assert preferences.fixed() == {"llm_model": "READINGROOM_LLM_MODEL", "approval": "readingroom.toml"}
    preferences.keep(Wish(llm_base_url="http://127.0.0.1:1/v1", llm_model="mine", approval="auto"))
    assert (Settings().llm_model, Settings().approval) == ("from-outside", "ask-before-export")
    assert "mine" not in page_file().read_text(encoding="utf-8")
    shown = Form(preferences.fixed(), may_change=True).language_model(preferences.settings)
    assert 'disabled="disabled" title="set by READINGROOM_LLM_MODEL; change it there"' in shown


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(llm_base_url="ftp://x"), "llm_base_url"),
        (Wish(egress="all"), "egress"),
        (Wish(approval="never"), "approval"),
    ],
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
    address, policy, sent = preferences.preview(Wish(llm_base_url="https://llm.example/v1", llm_model="m"))
    assert policy == "remote-deidentified"
    for secret in ("John Smith", "4711-22", "2024-03-01"):
        assert secret not in sent
    assert "6 mm" in sent
    shown = preview_html(address, policy, sent)
    assert "no pictures" in shown
    _, policy, sent = preferences.preview(
        Wish(llm_base_url="https://llm.example/v1", llm_model="m", egress="remote-allowed")
    )
    assert (policy, "John Smith" in sent) == ("remote-allowed", True)
    with pytest.raises(ConfigError, match="local"):
        preferences.preview(Wish(llm_base_url="https://llm.example/v1", llm_model="m", egress="local"))


def test_one_endpoint_can_have_a_policy_of_its_own(preferences):
    rules = {"llm.example": "remote-allowed", "https://other.example/v1": "remote-deidentified", " ": "local"}
    wish = Wish(llm_base_url="https://llm.example/v1", llm_model="m", egress_by_endpoint=rules)
    assert preferences.preview(wish)[1] == "remote-allowed"
    preferences.keep(wish)
    assert Settings().egress_by_endpoint == {k: v for k, v in rules.items() if k.strip()}
    assert "llm.example" in Form({}, may_change=True).language_model(preferences.settings)
    preferences.keep(wish.model_copy(update={"egress_by_endpoint": {}}))
    assert Settings().egress_by_endpoint == {}
    assert preferences.preview(wish.model_copy(update={"egress_by_endpoint": {}}))[1] == "remote-deidentified"
    with pytest.raises(ConfigError, match="egress_by_endpoint"):
        preferences.keep(Wish(egress_by_endpoint={"llm.example": "everything"}))


def test_who_may_not_change_settings_sees_why_at_every_control():
    form = Form({}, may_change=False)
    shown = form.language_model(Settings()) + form.models(["a"], "") + form.reports("")
    controls = re.findall("<(?:input|button)[^>]*>", shown)
    assert len(controls) >= 9
    assert all("READINGROOM_ADMINS" in control for control in controls)


def test_a_key_is_never_shown(preferences):
    preferences.keep(Wish(llm_base_url="http://127.0.0.1:1/v1", llm_model="small", llm_api_key=KEY))
    address, policy, sent = preferences.preview(Wish(llm_base_url="http://127.0.0.1:1/v1", llm_model="small"))
    assert KEY not in preview_html(address, policy, sent)


def test_pacs_credentials_are_not_shown():
    given = Settings(
        pacs={"main": {"url": "https://p.example/dw", "username": "reader", "password": "canary-password"}}
    )
    shown = Form({}, may_change=True).pacs(given.pacs)
    assert "Ask main whether it answers" in shown
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
        said = preferences.try_out(Wish(llm_base_url=url, llm_model="small", llm_api_key=KEY))
    assert "“ready”" in said
    assert _Endpoint.asked[0][0] == f"Bearer {KEY}"
    assert not page_file().exists()
    with pytest.raises(RunError, match=url):
        preferences.try_out(Wish(llm_base_url=url, llm_model="small"))
