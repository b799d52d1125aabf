"""The language model is asked only where the examples leave a choice, and only between the tools in question."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import LLMUnavailableError
from agent.planner.choose import choose, is_tie
from agent.planner.examples import ExampleIndex
from agent.planner.understand import Option
from agent.testing import ScriptedLLM
from knowledge.embed import HashEmbedder
from tools.registry import Registry

OPTIONS = (Option("measure", 0.61), Option("describe", 0.605), Option("segment", 0.5))


@pytest.fixture(scope="module")
def index() -> ExampleIndex:
    return ExampleIndex(Registry.installed(), HashEmbedder(), None)


def test_only_a_tie_is_put_to_the_model() -> None:
    assert is_tie(OPTIONS)
    assert not is_tie((Option("measure", 0.7), Option("describe", 0.6)))
    assert not is_tie((Option("measure", 0.7),))


def test_the_model_chooses_under_a_schema_of_the_two_tools(index: ExampleIndex) -> None:
    llm = ScriptedLLM([{"tool": "describe"}])
    choice = choose(llm, index, "How large is it?", OPTIONS)
    assert choice.tool == "describe"
    assert choice.note == ""
    (ask,) = llm.calls
    assert ask.schema is not None
    assert ask.schema["properties"]["tool"]["enum"] == ["measure", "describe"]
    assert '{"tool": ' in str(ask.prompt)
    assert "How large is it?" in str(ask.prompt)


@pytest.mark.parametrize("reply", [LLMUnavailableError("weights missing"), "no json", {"tool": "export"}, {}])
def test_a_model_that_cannot_be_asked_leaves_the_nearest_example_and_says_so(index: ExampleIndex, reply: Any) -> None:
    choice = choose(ScriptedLLM([reply]), index, "How large is it?", OPTIONS)
    assert choice.tool == "measure"
    if not isinstance(reply, dict) or not reply:
        assert "could not be asked" in choice.note


@pytest.mark.llm
@pytest.mark.samples
def test_the_embedded_model_answers_with_one_of_the_two(index: ExampleIndex, sample: Any) -> None:
    from agent.llm.embedded import EmbeddedLLM

    weights = sample("smollm2", "model.gguf")
    choice = choose(EmbeddedLLM(lambda: weights), index, "How large is it?", OPTIONS)
    assert choice.tool in ("measure", "describe")
    assert choice.note == ""
    assert choice.calls
