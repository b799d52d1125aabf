"""Words of a language model while it writes them: whole at the end, told in order, never more than was said."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import LLMUnavailableError, ModelBehaviorError
from agent.events import Writing
from agent.llm.chat import Ask
from agent.llm.hearing import Words, heard, readable
from agent.llm.meter import Meter, MeteredLLM, metered
from tests.agent.llm.stub_endpoint import endpoint, fails, says
from tests.agent.llm.test_client import llm_at
from tests.writing_endpoint import writer
from tools.errors import CancelledError

SCHEMA = {"type": "object", "properties": {"sentences": {"type": "array", "items": {"type": "string"}}}}
PROMPT = 'You edit a radiology research report.\n["Volume of the lungs: 2 ml.", "Mean: 3 HU.", "Last."]'


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    return f"data: {json.dumps(body)}\n\n"


def streamed(*pieces: str, finish: str = "stop", usage: bool = True) -> tuple[int, str, dict[str, str]]:
    spent = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    last = chunk(finish=finish) + (chunk(usage=spent) if usage else "")
    return 200, "".join(map(chunk, pieces)) + last + "data: [DONE]\n\n", {}


def test_an_answer_that_is_listened_to_is_streamed_and_is_the_same() -> None:
    heard_: list[str] = []
    lines: list[Any] = []
    with endpoint(streamed('{"sen', 'tences": ["A', ' b."]}')) as stub:
        reply = llm_at(stub.base_url).chat(Ask("hi", schema=SCHEMA, on_text=heard_.append), lines.append)
    assert reply.json() == {"sentences": ["A b."]}
    assert heard_ == ['{"sen', '{"sentences": ["A', '{"sentences": ["A b."]}']
    assert (reply.tokens_in, reply.tokens_out, reply.finish_reason) == (11, 7, "stop")
    assert (lines[0]["tokens_in"], lines[0]["tokens_out"]) == (11, 7)
    assert stub.requests[0]["stream"] is True


def test_nothing_is_streamed_where_nobody_listens() -> None:
    with endpoint(says("hello")) as stub:
        llm_at(stub.base_url).chat(Ask("hi"))
    assert "stream" not in stub.requests[0]


@pytest.mark.parametrize(
    ("first", "note"),
    [
        (fails(400, "no", param="stream"), "endpoint takes no stream"),
        (fails(400, "Unrecognized request argument: 'stream_options'"), "endpoint takes no stream_options"),
        (says("hello"), "endpoint does not stream"),
    ],
)
def test_an_endpoint_that_does_not_stream_answers_at_once_and_it_is_noted(first: Any, note: str) -> None:
    second = streamed("hello") if "options" in note else says("hello")
    with endpoint(first, second) as stub:
        reply = llm_at(stub.base_url).chat(Ask("hi", on_text=lambda text: None))
    assert reply.text == "hello"
    assert reply.notes == (note,)


def test_an_endpoint_that_does_not_stream_is_asked_to_once() -> None:
    with endpoint(says("hello")) as stub:
        llm = llm_at(stub.base_url)
        for _ in range(3):
            llm.chat(Ask("hi", on_text=lambda text: None))
    assert ["stream" in request for request in stub.requests] == [True, False, False, False]


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    body = chunk("The lungs measure 2")
    with endpoint((200, body, {})) as stub, pytest.raises(ModelBehaviorError, match="broke off after 19 characters"):
        llm_at(stub.base_url).chat(Ask("hi", on_text=lambda text: None))


def test_a_connection_that_drops_within_the_answer_is_tried_again() -> None:
    status, body, _ = streamed("whole")
    cut = (status, chunk("wh"), {"Content-Length": "9999", "Connection": "close"})
    told: list[str] = []
    with endpoint(cut, (status, body, {})) as stub:
        reply = llm_at(stub.base_url).chat(Ask("hi", on_text=told.append))
    assert reply.text == "whole"
    assert told == ["wh", "whole"]
    assert "waited" in reply.notes[0]


def test_an_error_within_the_answer_is_told() -> None:
    body = chunk("The") + 'data: {"error": {"message": "out of memory"}}\n\n'
    with endpoint((200, body, {})) as stub, pytest.raises(LLMUnavailableError, match="out of memory"):
        llm_at(stub.base_url).chat(Ask("hi", on_text=lambda text: None))


def test_a_cancelled_call_hangs_up_and_is_heard_no_more() -> None:
    told: list[str] = []
    cancelled = threading.Event()
    with writer() as model:
        model.rambles = True
        llm = MeteredLLM(llm_at(model.base_url, model="writer"))

        def on_text(text: str) -> None:
            told.append(text)
            if text.count('", ') == 2:
                cancelled.set()

        with metered(Meter(10_000, is_cancelled=cancelled.is_set)), pytest.raises(CancelledError):
            llm.chat(Ask(PROMPT, schema=SCHEMA, on_text=on_text))
        count = len(told)
        model.go_on.set()
        assert model.left.wait(60)
        assert len(told) == count


def test_words_are_told_sentence_by_sentence_with_step_and_model() -> None:
    events: list[Writing] = []
    with writer() as model:
        model.go_on.set()
        llm = MeteredLLM(llm_at(model.base_url, model="writer"))
        with metered(Meter(10_000)), heard(Words(events.append, "s3")):  # type: ignore[arg-type]
            llm.chat(Ask(PROMPT, schema=SCHEMA))
            llm.chat(Ask("mend", schema=SCHEMA))
    first = [e for e in events if e.call == 1]
    assert {(e.step, e.model) for e in events} == {("s3", "writer")}
    last = {e.sentence: e.text for e in first}
    assert last == {0: "The lungs have a volume of 2 ml.", 1: "Mean: 3 HU.", 2: "The lungs measure 9,999 ml."}
    assert len(first) > 10
    grown = [e.text for e in first if e.sentence == 0]
    assert all(b.startswith(a) for a, b in itertools.pairwise(grown))
    assert {e.text for e in events if e.call == 2} == {"The lungs measure 9,999 ml."}


def test_a_call_that_begins_anew_is_told_from_its_first_sentence() -> None:
    events: list[Writing] = []
    on_text = Words(events.append, "s1").of("m")  # type: ignore[arg-type]
    for text in ('["One.", "Tw', '["On', '["One.", "Three."]'):
        on_text(text)
    assert [(e.sentence, e.text) for e in events] == [
        (0, "One."), (1, "Tw"), (0, "On"), (0, "One."), (1, "Three."),
    ]  # fmt: skip


NESTED = st.recursive(
    st.text() | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def strings_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [s for part in parts for s in strings_of(part)]


@given(st.dictionaries(st.text(), NESTED, max_size=4), st.booleans(), st.data())
def test_growing_json_shows_its_strings_and_never_another(value: Any, escaped: bool, data: st.DataObject) -> None:
    written = json.dumps(value, ensure_ascii=escaped)
    assert readable(written) == strings_of(value)
    part = readable(written[: data.draw(st.integers(0, len(written)))])
    whole = strings_of(value)
    assert part[:-1] == whole[: max(0, len(part) - 1)]
    if part and not escaped:
        assert whole[len(part) - 1].startswith(part[-1])


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r'["a\\"]', ["a\\"]),
        (r'["a\\', ["a\\"]),
        ('["a\\', ["a"]),
        (r'["a\\u00"]', [r"a\u00"]),
        (r'["a\u00', ["a"]),
        (r'["a\ud83d', ["a"]),
        (r'["a\ud83d\ude00"]', ["a\U0001f600"]),
        (r'["a\ud83d b"]', ["a? b"]),
    ],
)
def test_escapes_that_have_not_come_whole_are_left_out(written: str, shown: list[str]) -> None:
    assert readable(written) == shown


def test_text_that_is_no_json_is_read_as_it_is() -> None:
    assert readable("A gray [sic] picture") == ["A gray [sic] picture"]
    assert readable("  ") == []


def test_a_slow_stream_ends_at_the_time_limit() -> None:
    with writer() as model:
        started = time.monotonic()
        with pytest.raises(LLMUnavailableError, match=r"no whole answer within 0\.5 s"):
            llm_at(model.base_url, model="writer", timeout_s=0.5).chat(Ask(PROMPT, on_text=lambda text: None))
        assert time.monotonic() - started < 60
