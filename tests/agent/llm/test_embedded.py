"""The embedded model: real weights under a JSON schema, and what is said when they are missing."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LLMUnavailableError
from agent.llm import Ask, open_llm
from agent.llm.client import LLM
from agent.llm.embedded import EmbeddedLLM, _running
from agent.settings import Settings
from knowledge.assets import Assets

SCHEMA = {
    "type": "object",
    "properties": {"tool": {"type": "string", "enum": ["segment", "measure"]}, "count": {"type": "integer"}},
    "required": ["tool", "count"],
    "additionalProperties": False,
}


def test_missing_weights_are_named_at_the_first_call(tmp_path: Path) -> None:
    llm = open_llm(Settings(), Assets(tmp_path))
    with pytest.raises(LLMUnavailableError, match="readingroom samples get smollm2"):
        llm.complete("hi")


def test_broken_weights_are_one_line(tmp_path: Path) -> None:
    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"no gguf")
    with pytest.raises(LLMUnavailableError, match="did not start"):
        EmbeddedLLM(lambda: weights).complete("hi")


def test_settings_choose_the_endpoint(tmp_path: Path) -> None:
    assets = Assets(tmp_path)
    assert isinstance(open_llm(Settings(), assets), EmbeddedLLM)
    chosen = open_llm(Settings(llm_base_url="http://127.0.0.1:1/v1", llm_model="m"), assets)
    assert isinstance(chosen, LLM)
    assert (chosen.name, chosen.can_write) == ("m", True)
    openai = open_llm(Settings.model_validate({"llm_api_key": "sk-x"}), assets)
    assert isinstance(openai, LLM)
    assert (openai.name, openai.sees_images) == ("gpt-4.1-mini", False)


@pytest.mark.llm
@pytest.mark.samples
def test_embedded_model_answers_under_a_schema(sample: Any) -> None:
    weights = sample("smollm2", "model.gguf")
    llm = EmbeddedLLM(lambda: weights, threads=2)
    reply = llm.chat(Ask("Which tool outlines the liver? Answer as JSON.", schema=SCHEMA, max_tokens=60))
    answer = reply.json()
    assert sorted(answer) == ["count", "tool"]
    assert answer["tool"] in ("segment", "measure")
    assert reply.tokens_out > 0
    assert not llm.can_write
    again = EmbeddedLLM(lambda: weights, threads=2).chat(Ask("Say yes.", max_tokens=4))
    assert again.text
    assert len(_running) == 1


@pytest.mark.llm
@pytest.mark.samples
def test_embedded_server_answers_on_loopback_and_only_with_its_key(sample: Any) -> None:
    weights = sample("smollm2", "model.gguf")
    EmbeddedLLM(lambda: weights, threads=2).chat(Ask("hi", max_tokens=2))
    running = _running[weights]
    assert running.base_url.startswith("http://127.0.0.1:")
    request = urllib.request.Request(
        f"{running.base_url}/completions", data=b'{"prompt": "x", "max_tokens": 1}', method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 401
    refused.value.close()
