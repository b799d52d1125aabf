"""The one door to language models, against an endpoint on loopback."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))

from stub_endpoint import dripping, endpoint, fails, says, slowly

from agent.errors import ConfigError, LLMUnavailableError, ModelBehaviorError
from agent.llm import Ask
from agent.llm.client import LLM, Endpoint
from agent.llm.lent import LentLLM
from agent.llm.meter import Meter, metered
from tools.errors import CancelledError, UnavailableError

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def llm_at(base_url: str, waits: list[float] | None = None, **more: Any) -> LLM:
    noted = waits if waits is not None else []
    given = {"model": "stub", "timeout_s": 5.0, **more}
    return LLM(Endpoint(base_url=base_url, **given), sleep=noted.append)


def lent_at(base_url: str, **more: Any) -> LentLLM:
    return LentLLM(lambda: llm_at(base_url, **more))


def test_answer_comes_with_its_cost() -> None:
    with endpoint(says("hello")) as stub:
        reply = llm_at(stub.base_url).chat(Ask("hi", seed=7, max_tokens=9))
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.model) == ("hello", 11, 7, "stub")
    sent = stub.requests[0]
    assert sent["messages"] == [{"role": "user", "content": "hi"}]
    assert (sent["seed"], sent["max_tokens"], sent["temperature"]) == (7, 9, 0.0)


def test_schema_is_sent_as_response_format() -> None:
    with endpoint(says('{"a": 3}')) as stub:
        assert llm_at(stub.base_url).complete("give a", schema=SCHEMA) == '{"a": 3}'
    sent = stub.requests[0]["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def test_bad_key_is_one_line_within_seconds_and_is_not_tried_again() -> None:
    waits: list[float] = []
    with endpoint(fails(401, "Incorrect API key provided: sk-secret-123")) as stub:
        llm = llm_at(stub.base_url, waits, api_key=SecretStr("sk-secret-123"))
        with pytest.raises(LLMUnavailableError, match="refuses the key; set OPENAI_API_KEY") as caught:
            llm.chat(Ask("hi"))
    assert len(stub.requests) == 1
    assert waits == []
    assert "sk-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_dead_endpoint_is_one_line_within_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError, match=rf"127\.0\.0\.1:{port}/v1 cannot be reached"):
        llm_at(f"http://127.0.0.1:{port}/v1").chat(Ask("hi"))
    assert time.monotonic() - started < 5


def test_slow_endpoint_ends_at_the_time_limit() -> None:
    with endpoint(slowly(2.0, says("late"))) as stub:
        started = time.monotonic()
        with pytest.raises(LLMUnavailableError, match=r"no whole answer within 0\.3 s"):
            llm_at(stub.base_url, timeout_s=0.3).chat(Ask("hi"))
        assert time.monotonic() - started < 1.9
        assert len(stub.requests) == 1


def test_rate_limit_is_waited_out_as_long_as_the_endpoint_asks() -> None:
    waits: list[float] = []
    with endpoint(fails(429, "slow down", headers={"Retry-After": "3"}), says("fine")) as stub:
        reply = llm_at(stub.base_url, waits).chat(Ask("hi"))
    assert reply.text == "fine"
    assert waits == [3.0]
    assert "RateLimitError" in reply.notes[0]


def test_rate_limit_that_does_not_end_is_given_up() -> None:
    waits: list[float] = []
    with endpoint(fails(429, "slow down")) as stub:
        with pytest.raises(LLMUnavailableError, match="limits the rate"):
            llm_at(stub.base_url, waits).chat(Ask("hi"))
        assert len(stub.requests) == 4
    assert waits == [0.5, 1.0, 2.0]


def test_rate_limit_that_asks_for_a_long_wait_is_given_up_at_once_and_says_when() -> None:
    waits: list[float] = []
    with endpoint(fails(429, "slow down", headers={"Retry-After": "900"})) as stub:
        with pytest.raises(LLMUnavailableError, match="asks to come back after 900 s"):
            llm_at(stub.base_url, waits).chat(Ask("hi"))
        assert len(stub.requests) == 1
    assert waits == []


def test_a_wait_until_a_date_is_understood() -> None:
    waits: list[float] = []
    soon = formatdate(time.time() + 4, usegmt=True)
    with endpoint(fails(429, "slow down", headers={"Retry-After": soon}), says("fine")) as stub:
        assert llm_at(stub.base_url, waits).chat(Ask("hi")).text == "fine"
    assert 2 < waits[0] <= 4


def test_a_wait_never_goes_past_the_time_limit() -> None:
    with endpoint(fails(429, "slow down", headers={"Retry-After": "8"})) as stub:
        with pytest.raises(LLMUnavailableError, match="limits the rate"):
            llm_at(stub.base_url).chat(Ask("hi"))
        assert len(stub.requests) == 1


def test_an_answer_that_drips_ends_at_the_time_limit() -> None:
    """Every byte comes in time for the socket; only the whole does not."""
    with dripping(0.05) as base_url:
        started = time.monotonic()
        with pytest.raises(LLMUnavailableError, match=r"no whole answer within 0\.6 s"):
            llm_at(base_url, timeout_s=0.6).chat(Ask("hi"))
        assert time.monotonic() - started < 2


def test_a_connection_that_breaks_off_is_tried_again_and_then_given_up() -> None:
    waits: list[float] = []
    cut = (200, '{"id": "1", ', {"Content-Length": "500"})
    with endpoint(cut, says("whole")) as stub:
        assert llm_at(stub.base_url, waits).chat(Ask("hi")).text == "whole"
    assert waits == [0.5]
    with endpoint(cut) as stub:
        with pytest.raises(LLMUnavailableError, match="cannot be reached"):
            llm_at(stub.base_url, waits).chat(Ask("hi"))
        assert len(stub.requests) == 4


def test_a_cancelled_request_does_not_wait_for_the_endpoint() -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with endpoint(slowly(3, says("late"))) as stub:
        started = time.monotonic()
        with metered(Meter(1000, is_cancelled=cancelled.is_set)), pytest.raises(CancelledError, match="was cancelled"):
            llm_at(stub.base_url).chat(Ask("hi"))
        assert time.monotonic() - started < 1


def test_used_up_quota_is_not_tried_again() -> None:
    with endpoint(fails(429, "You exceeded your current quota", code="insufficient_quota")) as stub:
        with pytest.raises(LLMUnavailableError, match="quota is used up"):
            llm_at(stub.base_url).chat(Ask("hi"))
        assert len(stub.requests) == 1


def test_server_error_is_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    with endpoint(fails(500, "oops"), fails(503, "oops"), says("back")) as stub:
        assert llm_at(stub.base_url, waits).chat(Ask("hi")).text == "back"
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (says("", finish="stop"), "empty answer"),
        (says(None), "empty answer"),
        (says(None, refusal="I can't help with that"), "refused: I can't help"),
        (says("x", finish="content_filter"), "content filter"),
        (says('{"a": 1', finish="length"), "cut off after 7 tokens"),
        (says('{"a": '), "not JSON"),
        ((200, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}, {}), "without any"),
    ],
)
def test_unusable_answers_are_named(answer: Any, message: str) -> None:
    with endpoint(answer) as stub, pytest.raises(ModelBehaviorError, match=message):
        llm_at(stub.base_url).chat(Ask("hi", schema=SCHEMA))


def test_body_that_is_no_json_is_one_line() -> None:
    with endpoint((200, "<html>proxy</html>", {})) as stub, pytest.raises((LLMUnavailableError, ModelBehaviorError)):
        llm_at(stub.base_url).chat(Ask("hi"))


def test_parameter_that_an_endpoint_refuses_is_left_out_and_noted() -> None:
    refusal = fails(400, "Unsupported value: 'temperature' does not support 0", param="temperature")
    with endpoint(refusal, says("ok")) as stub:
        reply = llm_at(stub.base_url).chat(Ask("hi"))
    assert "temperature" not in stub.requests[1]
    assert reply.notes == ("endpoint takes no temperature",)


def test_other_bad_requests_are_not_tried_again() -> None:
    with endpoint(fails(400, "context length exceeded")) as stub:
        with pytest.raises(LLMUnavailableError, match="context length exceeded"):
            llm_at(stub.base_url).chat(Ask("hi"))
        assert len(stub.requests) == 1


def test_unknown_model_says_what_to_set() -> None:
    with (
        endpoint(fails(404, "no such model")) as stub,
        pytest.raises(LLMUnavailableError, match="READINGROOM_LLM_MODEL"),
    ):
        llm_at(stub.base_url).chat(Ask("hi"))


def test_model_is_asked_for_when_none_is_set() -> None:
    served = (200, {"object": "list", "data": [{"id": "qwen", "object": "model", "created": 1, "owned_by": "x"}]}, {})
    with endpoint(served) as stub:
        assert llm_at(stub.base_url, model=None).name == "qwen"


def test_several_models_are_a_choice_for_the_person() -> None:
    models = [{"id": i, "object": "model", "created": 1, "owned_by": "x"} for i in ("a", "b")]
    with (
        endpoint((200, {"object": "list", "data": models}, {})) as stub,
        pytest.raises(ConfigError, match="serves a, b"),
    ):
        llm_at(stub.base_url, model=None).chat(Ask("hi"))


def test_record_has_hashes_and_no_payload_unless_wanted() -> None:
    lines: list[Any] = []
    with endpoint(says("secret answer")) as stub:
        llm_at(stub.base_url).chat(Ask("secret question", purpose="plan@1"), lines.append)
        llm_at(stub.base_url, log_payloads=True).chat(Ask("secret question"), lines.append)
    assert "secret" not in json.dumps(lines[0])
    assert lines[0]["prompt"] == "plan@1"
    assert len(lines[0]["prompt_sha256"]) == 64
    assert (lines[0]["tokens_in"], lines[0]["tokens_out"]) == (11, 7)
    assert lines[1]["answer"] == "secret answer"


def test_failed_call_is_recorded_too() -> None:
    lines: list[Any] = []
    with endpoint(fails(401, "no")) as stub, pytest.raises(LLMUnavailableError):
        llm_at(stub.base_url).chat(Ask("hi"), lines.append)
    assert lines[0]["finish_reason"] == "failed"


def test_an_answer_that_cannot_be_used_has_cost_its_tokens() -> None:
    lines: list[Any] = []
    with endpoint(says('{"a": ')) as stub, pytest.raises(ModelBehaviorError):
        llm_at(stub.base_url).chat(Ask("hi", schema=SCHEMA), lines.append)
    assert (lines[0]["tokens_in"], lines[0]["tokens_out"], lines[0]["finish_reason"]) == (11, 7, "failed")


def one_pixel_png() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (3, 2), 77).save(stream, format="PNG")
    return stream.getvalue()


def test_a_picture_goes_out_as_the_png_that_it_claims_to_be() -> None:
    import base64

    with endpoint(says("A gray picture.")) as stub:
        llm = lent_at(stub.base_url, sees_images=True)
        assert llm.sees_images
        assert llm.look("What is it?", [one_pixel_png()]).text == "A gray picture."
    parts = stub.requests[0]["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": "What is it?"}
    head, _, data = parts[1]["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == one_pixel_png()


def test_what_is_no_png_never_leaves() -> None:
    with endpoint(says("x")) as stub:
        with pytest.raises(UnavailableError, match="claim to be image/png do not decode as that"):
            lent_at(stub.base_url, sees_images=True).look("What is it?", [b"DICM raw bytes"])
        assert stub.requests == []


def test_an_endpoint_that_fails_to_look_is_unavailable() -> None:
    with endpoint(fails(401, "no")) as stub, pytest.raises(UnavailableError, match="refuses the key"):
        lent_at(stub.base_url, sees_images=True).look("What is it?", [one_pixel_png()])
