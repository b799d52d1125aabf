"""Words of a language model while it writes them: put together from what an endpoint streams, and told to who listens.

What is heard here is not checked against any evidence yet; whoever shows it says so.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from agent.errors import ModelBehaviorError
from agent.events import Emit, PlanWriting, Writing

if TYPE_CHECKING:
    from agent.llm.chat import Ask
    from agent.llm.egress import Passage

OnText = Callable[[str], None]
"""Called with the whole answer so far, whenever it has grown."""

_OPEN_PLACEHOLDER = re.compile(r"\[[A-Z]*(-[A-Z]?\d*)?$")  # of the egress gate: its rest may still come
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)')
_OPEN_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)(?:\\|\\u[0-9a-fA-F]{0,3})$")  # an escaped backslash is whole
_OPEN_PAIR = re.compile(r"[\ud800-\udbff]$")  # the second half of a character may still come

_TOOL = re.compile(r'"tool"\s*:\s*"([a-z_]+)"')

_listener: ContextVar[Listener | None] = ContextVar("readingroom_llm_listener", default=None)


class Listener(Protocol):
    """Hears what language models write."""

    def of(self, model: str) -> OnText:
        """Return what listens to one call of a model."""
        ...


class PlanDraft:
    """Tells, step by step, which plan a language model writes.

    Args:
        emit: takes the events.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def of(self, model: str) -> OnText:
        """Return what listens to one call of a model."""
        told: tuple[str, ...] = ()

        def on_text(text: str) -> None:
            nonlocal told
            tools = tuple(_TOOL.findall(text))
            if tools != told:
                told = tools
                self._emit(PlanWriting(model=model, tools=tools))

        return on_text


class Words:
    """Tells, sentence by sentence, what language models write for one step.

    Args:
        emit: takes the events.
        step: the step's id; empty: the answer itself.
    """

    def __init__(self, emit: Emit, step: str) -> None:
        self._emit = emit
        self._step = step
        self._calls = itertools.count(1)

    def of(self, model: str) -> OnText:
        """Return what listens to one call of a model; where the call is tried again, its sentences begin anew."""
        call, told = next(self._calls), list[str]()

        def on_text(text: str) -> None:
            sentences = readable(text)
            same = sum(
                1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(told, sentences, strict=False))
            )
            for number in range(same, len(sentences)):
                event = Writing(step=self._step, model=model, call=call, sentence=number, text=sentences[number])
                self._emit(event)
            told[:] = sentences

        return on_text


@contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Tell what is written by every call made in this block, and in what it starts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listened(ask: Ask, model: Callable[[], str]) -> Ask:
    """Return a call that whoever listens here hears; one that is listened to already stays as it is."""
    listener = _listener.get()
    return ask if listener is None or ask.on_text is not None else replace(ask, on_text=listener.of(model()))


class Hearing:
    """Takes one streamed answer in.

    Args:
        passage: resolves the egress gate's placeholders.
        on_text: hears the answer so far.
    """

    def __init__(self, passage: Passage, on_text: OnText) -> None:
        self._passage = passage
        self._on_text = on_text
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Hear nothing more: the call ended, was cancelled or took too long."""
        self._given_up.set()

    def whole(self, chunks: Iterable[Any]) -> dict[str, Any]:
        """Return the answer as the endpoint would have given it at once; without choices where nothing was streamed.

        Raises:
            ModelBehaviorError: it broke off.
        """
        said, refused, told, held = "", "", "", ""
        finish, usage, came = None, None, False
        logprobs: list[Any] = []
        for chunk in chunks:
            if self._given_up.is_set():
                break
            usage = getattr(chunk, "usage", None) or usage
            for choice in chunk.choices[:1]:
                came = True
                piece = choice.delta.content or ""
                said, held = said + piece, held + piece
                refused += getattr(choice.delta, "refusal", None) or ""
                finish = choice.finish_reason or finish
                logprobs += getattr(choice.logprobs, "content", None) or []
            if held and not _OPEN_PLACEHOLDER.search(held):
                told, held = told + self._passage.incoming(held), ""
                self._on_text(told)
        if came and finish is None:
            raise ModelBehaviorError(f"the answer broke off after {len(said)} characters")
        if held:
            self._on_text(told + self._passage.incoming(held))
        message = {"role": "assistant", "content": said, "refusal": refused or None}
        whole = {"message": message, "finish_reason": finish, "logprobs": {"content": logprobs}}
        return {"choices": [whole] if came else [], "usage": usage}


def readable(text: str) -> list[str]:
    """Return what a person can read of an answer that is still growing: the strings of JSON, else the text."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return [text] if start else []
    found: list[str] = []
    inside: list[str] = []
    is_key, at = False, 0
    while at < len(start):
        sign = start[at]
        if sign == '"' and (string := _STRING.match(start, at)):
            at = string.end() + 1
            if not is_key:
                found.append(_unescaped(string[1]))
            continue
        if sign in "{[":
            inside.append(sign)
        elif sign in "}]":
            inside = inside[:-1]
        if sign in "{,}]":
            is_key = sign in "{," and inside[-1:] == ["{"]
        elif sign in ":[":
            is_key = False
        at += 1
    return found


def _unescaped(body: str) -> str:
    """Return a JSON string's text; an escape that has not come whole is left out, half a character shown as "?"."""
    whole = _OPEN_ESCAPE.sub(r"\1", body)
    try:
        text = str(json.loads(f'"{whole}"', strict=False))
    except json.JSONDecodeError:
        text = body
    return _OPEN_PAIR.sub("", text).encode("utf-8", "replace").decode("utf-8")
