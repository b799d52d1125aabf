"""What a request may spend on language models: counted over all calls, each request apart."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stub_endpoint import endpoint, says

from agent.errors import LimitError, ModelBehaviorError
from agent.llm import Ask
from agent.llm.client import LLM, Endpoint
from agent.llm.meter import Meter, MeteredLLM, metered
from agent.testing import ScriptedLLM


def test_tokens_are_counted_over_all_calls_and_the_limit_is_kept() -> None:
    spent: list[Any] = []
    with endpoint(says("fine")) as stub:  # 11 in and 7 out a call
        llm = MeteredLLM(LLM(Endpoint(stub.base_url, model="stub")))
        with metered(Meter(40, spent.append)):
            assert llm.complete("hi") == "fine"
            assert llm.chat(Ask("hi")).text == "fine"
            assert llm.chat(Ask("hi", max_tokens=500)).text == "fine"
            with pytest.raises(LimitError, match=r"used up its 40 tokens .* \(54 spent") as caught:
                llm.chat(Ask("hi"))
        assert len(stub.requests) == 3  # the fourth was not sent
        assert stub.requests[2]["max_tokens"] <= 4  # nor may an answer be longer than what is left
    assert (caught.value.limit, caught.value.used) == (40, 54)
    assert [s.used for s in spent] == [18, 36, 54]


def test_an_unusable_answer_counts_too() -> None:
    meter = Meter(1000)
    with endpoint(says('{"a": ')) as stub, metered(meter), pytest.raises(ModelBehaviorError):
        MeteredLLM(LLM(Endpoint(stub.base_url, model="stub"))).complete("hi", schema={"type": "object"})
    assert meter.used == 18


def test_an_endpoint_that_counts_nothing_is_estimated() -> None:
    status, body, headers = says("four words are here")
    silent = (status, {k: v for k, v in body.items() if k != "usage"}, headers)
    meter = Meter(1000)
    with endpoint(silent) as stub, metered(meter):
        MeteredLLM(LLM(Endpoint(stub.base_url, model="stub"))).complete("x" * 400)
    assert 100 < meter.used < 130


def test_a_prompt_that_does_not_fit_is_not_sent() -> None:
    llm = ScriptedLLM(["never"])
    with metered(Meter(50)), pytest.raises(LimitError, match="the next prompt would not fit"):
        MeteredLLM(llm).complete("x" * 400)
    assert llm.calls == []


def test_requests_at_once_are_counted_apart() -> None:
    llm = MeteredLLM(ScriptedLLM(lambda ask: "word " * 8))
    meters = [Meter(100_000) for _ in range(4)]

    def work(meter: Meter, calls: int) -> None:
        with metered(meter):
            for _ in range(calls):
                llm.complete("hello")

    threads = [threading.Thread(target=work, args=(m, n)) for n, m in enumerate(meters, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = meters[0].used
    assert one > 0
    assert [m.used for m in meters] == [one * n for n in range(1, 5)]


def test_without_a_request_nothing_is_counted() -> None:
    assert MeteredLLM(ScriptedLLM([{"a": 1}])).complete("hi") == json.dumps({"a": 1})
