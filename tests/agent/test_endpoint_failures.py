"""A whole request whose planner is a real endpoint on loopback, and everything that can be wrong with one.

Each ends in one clear line, within seconds.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent / "llm"))

from stub_endpoint import dripping, endpoint, fails, says, slowly

from agent.assistant import Assistant
from agent.errors import LimitError, RunError
from agent.events import Evidence, Failed, Planning, Tokens
from agent.settings import Settings
from knowledge.embed import HashEmbedder

PLAN = {
    "outcome": "plan",
    "steps": [{"id": "s1", "tool": "wait", "args": {"seconds": 0.0, "after": None}, "when": None}],
    "message": None,
}


@pytest.fixture
def ask(tmp_path, box):
    """Return a function that asks an assistant whose planner is the endpoint at an address."""

    def make(base_url: str, **settings: object) -> Assistant:
        given = {"llm_timeout_s": 2.0, "llm_model": "stub", "cache_dir": tmp_path / "cache"} | settings
        return Assistant(
            settings=Settings(readings_dir=tmp_path / "readings", device="cpu", llm_base_url=base_url, **given),
            registry=box.registry(), hub=SimpleNamespace(cards=(), targets=lambda verb: ()), embedder=HashEmbedder(),
        )  # fmt: skip

    return make


def test_a_plan_from_an_endpoint_runs_and_its_tokens_and_evidence_are_told(ask) -> None:
    events = []
    with endpoint(says(json.dumps(PLAN))) as stub:
        assistant = ask(stub.base_url)
        answer = assistant.ask("wait", on_event=events.append)
    assert answer.text == "Volume of the phantom: 0.0 ml. [s1]"
    (tokens,) = [e for e in events if isinstance(e, Tokens)]
    assert (tokens.model, tokens.tokens_in, tokens.tokens_out, tokens.used) == ("stub", 11, 7, 18)
    (evidence,) = [e for e in events if isinstance(e, Evidence)]
    assert (evidence.claim.evidence, evidence.holds) == (("s1",), True)
    assert [e.at for e in events] == sorted(e.at for e in events)
    lines = [line for line in assistant.record(answer.reading).lines() if line["event"] == "llm call"]
    assert [line["tokens_out"] for line in lines] == [7]


def _dead() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fails(401, "Incorrect API key provided: sk-secret"), "refuses the key; set OPENAI_API_KEY"),
        (fails(429, "slow down", headers={"Retry-After": "600"}), "asks to come back after 600 s"),
        (fails(404, "no such model"), "knows no model 'stub'"),
        (slowly(6, says("late")), "gave no whole answer within 2 s"),
        ((200, "<html>a proxy</html>", {}), "answers with something that is no JSON|without any choice"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_one_line_within_seconds(ask, answer, said) -> None:
    events = []
    with endpoint(answer) as stub:
        began = time.monotonic()
        with pytest.raises(RunError, match=said) as caught:
            ask(stub.base_url).ask("wait", on_event=events.append)
        assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert isinstance(events[-1], Failed)


def test_a_dead_and_a_dripping_endpoint_are_one_line_within_seconds(ask) -> None:
    began = time.monotonic()
    with pytest.raises(RunError, match="cannot be reached"):
        ask(_dead()).ask("wait")
    with dripping(0.1) as base_url, pytest.raises(RunError, match="gave no whole answer within 2 s"):
        ask(base_url).ask("wait")
    assert time.monotonic() - began < 7


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says('{"outcome": '), "No plan that holds could be made .*not JSON"),
        (says('{"outcome": "plan"', finish="length"), "cut off"),
        (says(None, refusal="I cannot help with that"), "refused: I cannot help with that"),
        (says(json.dumps({**PLAN, "steps": [{"id": "s1", "tool": "cure", "args": {}}]})), "no tool named 'cure'"),
        (says(json.dumps([1, 2])), "must be a JSON object, got list"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_question_back_after_one_repair(ask, box, answer, said) -> None:
    with endpoint(answer, streams=True) as stub:
        done = ask(stub.base_url).ask("wait")
        assert len(stub.requests) == 2
    assert done.outcome in ("clarify", "declined")
    assert re.search(said, done.text)
    assert box.runs == []


def test_one_bad_answer_is_repaired(ask) -> None:
    with endpoint(says('{"outcome": '), says(json.dumps(PLAN)), streams=True) as stub:
        assert ask(stub.base_url).ask("wait").outcome == "answered"
        assert "not JSON" in json.dumps(stub.requests[1]["messages"])


def test_a_request_stops_at_its_tokens(ask) -> None:
    with endpoint(says("x" * 400)) as stub:
        with pytest.raises(LimitError, match=r"tokens for language models .* READINGROOM_MAX_LLM_TOKENS"):
            ask(stub.base_url, max_llm_tokens=30).ask("wait")
        assert stub.requests == []


def test_cancel_while_the_endpoint_thinks(ask) -> None:
    with endpoint(slowly(5, says(json.dumps(PLAN)))) as stub:
        assistant = ask(stub.base_url, llm_timeout_s=60)
        reading = assistant.begin()

        def on_event(event) -> None:
            if isinstance(event, Planning):
                threading.Timer(0.3, lambda: assistant.cancel(reading)).start()

        began = time.monotonic()
        with pytest.raises(RunError, match="cancelled"):
            assistant.ask("wait", reading=reading, on_event=on_event)
        assert time.monotonic() - began < 2.5
