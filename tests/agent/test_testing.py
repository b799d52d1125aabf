"""The scripted language model."""

from __future__ import annotations

import pytest

from agent.errors import LLMUnavailableError
from agent.llm import Ask
from agent.testing import ScriptedLLM


def test_replies_in_order_and_records_the_calls() -> None:
    llm = ScriptedLLM(["one", {"two": 2}])
    assert llm.complete("a") == "one"
    assert llm.chat(Ask("b")).json() == {"two": 2}
    assert [ask.prompt for ask in llm.calls] == ["a", "b"]
    llm.assert_complete()


def test_unused_replies_fail_the_test() -> None:
    with pytest.raises(AssertionError, match="1 scripted replies were not used"):
        ScriptedLLM(["one"]).assert_complete()


def test_unexpected_call_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="used up"):
        ScriptedLLM().complete("a")


def test_scripted_errors_are_raised() -> None:
    with pytest.raises(LLMUnavailableError):
        ScriptedLLM([LLMUnavailableError("gone")]).complete("a")


def test_function_as_script() -> None:
    llm = ScriptedLLM(lambda ask: str(ask.prompt).upper(), can_write=False)
    assert llm.complete("abc") == "ABC"
    assert not llm.can_write
