"""Asks the language model where the declared examples leave a choice between tools.

A small question, decoded under a schema that holds nothing but the tools in question, with the nearest example
requests of each before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import RunError
from agent.llm.chat import Ask, ChatModel
from agent.planner.examples import ExampleIndex
from agent.planner.grammar import choice_schema
from agent.planner.understand import Option
from prompts import load

TIE = 0.02  # examples this near to each other do not decide; a wider margin than this they decide better than 135M
EXAMPLES = 6
MAX_TOKENS = 24


@dataclass(frozen=True)
class Choice:
    """Which tool was chosen, and what that took."""

    tool: str
    calls: tuple[Mapping[str, Any], ...] = ()
    note: str = ""
    """Why the model was not heard, where it was not."""


def is_tie(options: Sequence[Option]) -> bool:
    """Return whether the two best tools lie too near to each other for the examples to decide."""
    return len(options) > 1 and options[0].score - options[1].score < TIE


def choose(llm: ChatModel, index: ExampleIndex, text: str, options: Sequence[Option]) -> Choice:
    """Return the tool that the model chooses among the two best; the first where it cannot be asked, and says so."""
    names = [option.tool for option in options[:2]]
    near = [n for n in index.nearest(text, 40) if n.calls and n.calls[-1].tool in names][:EXAMPLES]
    examples = "\n".join(f"Request: {n.request}\n{json.dumps({'tool': n.calls[-1].tool})}" for n in reversed(near))
    prompt = load("choose_tool")
    calls: list[Mapping[str, Any]] = []
    ask = Ask(
        prompt.render(examples=examples, request=text),
        schema=choice_schema(names),
        max_tokens=MAX_TOKENS,
        purpose=f"choose_tool@{prompt.version}",
    )
    try:
        tool = str(llm.chat(ask, calls.append).json()["tool"])
    except (RunError, KeyError, TypeError) as error:
        return Choice(names[0], tuple(calls), f"{llm.name} could not be asked ({error}); the nearest example decided")
    return Choice(tool if tool in names else names[0], tuple(calls))
