"""Counts what one request spends on language models, tells it, and stops at the limit.

The meter of a request travels with its context: into the graph's nodes and into the threads of its steps. A model that
is shared by many requests so counts for each of them apart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from agent.errors import LimitError
from agent.llm.chat import Ask, CallHook, ChatModel, Reply
from agent.llm.hearing import listened
from tools.errors import CancelledError

CHARACTERS_A_TOKEN = 4  # of English text, for endpoints that do not say what they counted
_TICK_S = 0.05

_current: ContextVar[Meter | None] = ContextVar("readingroom_llm_meter", default=None)


@dataclass(frozen=True)
class Spent:
    """One call of a language model, and the request's total after it."""

    line: Mapping[str, Any]
    """What the run record keeps of the call."""
    tokens_in: int
    tokens_out: int
    used: int
    limit: int


@dataclass
class Meter:
    """The language-model budget of one request."""

    limit: int
    """Tokens in and out, over all calls."""
    on_spent: Callable[[Spent], None] = lambda spent: None
    is_cancelled: Callable[[], bool] = lambda: False
    used: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allowed(self, ask: Ask) -> Ask:
        """Return a call whose answer fits into what is left.

        Raises:
            LimitError: its prompt alone does not.
        """
        left = self.limit - self.used - _prompt_tokens(ask)
        if left <= 0:
            message = (
                f"the request used up its {self.limit:,} tokens for language models ({self.used:,} spent, and the next "
                "prompt would not fit); raise READINGROOM_MAX_LLM_TOKENS, or ask for less at a time"
            )
            raise LimitError(message, limit=self.limit, used=self.used)
        return replace(ask, max_tokens=min(ask.max_tokens, left))

    def spend(self, ask: Ask, line: Mapping[str, Any], reply: Reply | None) -> None:
        """Count a call; where the endpoint gave no figures they are estimated from the length of the text."""
        counted_in, counted_out, text = (reply.tokens_in, reply.tokens_out, reply.text) if reply else (0, 0, "")
        tokens_in = line.get("tokens_in") or counted_in or _prompt_tokens(ask)
        tokens_out = line.get("tokens_out") or counted_out or len(text) // CHARACTERS_A_TOKEN
        with self._lock:
            self.used += tokens_in + tokens_out
            spent = Spent(line, tokens_in, tokens_out, self.used, self.limit)
        self.on_spent(spent)


class MeteredLLM:
    """A language model whose calls count for the request that makes them. Implements agent.llm.ChatModel.

    Args:
        llm: the model itself, shared by all requests.
    """

    def __init__(self, llm: ChatModel) -> None:
        self._llm = llm

    @property
    def name(self) -> str:
        """Which model answers."""
        return self._llm.name

    @property
    def can_write(self) -> bool:
        """Whether its prose and judgement are good enough to rely on."""
        return self._llm.can_write

    def chat(self, ask: Ask, on_call: CallHook | None = None) -> Reply:
        """Answer one call; for the errors see `LLM.chat`.

        Raises:
            LimitError: the request's tokens are used up.
        """
        meter = _current.get()
        if meter is None:
            return self._llm.chat(ask, on_call)
        lines: list[Mapping[str, Any]] = []

        def note(line: Mapping[str, Any]) -> None:
            lines.append(line)
            if on_call is not None:
                on_call(line)

        reply: Reply | None = None
        ask = listened(meter.allowed(ask), lambda: self._llm.name)
        try:
            reply = self._llm.chat(ask, note)
        finally:
            if lines:
                meter.spend(ask, lines[-1], reply)
        return reply

    @property
    def sees_images(self) -> bool:
        """Whether it reads pictures."""
        return bool(getattr(self._llm, "sees_images", False))

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given."""
        return self.chat(Ask(prompt, schema=schema, max_tokens=max_tokens)).text


@contextmanager
def metered(meter: Meter) -> Iterator[Meter]:
    """Count every call made in this block, and in what it starts, for one request."""
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def stop_if_cancelled() -> None:
    """Raise when the person cancelled the request that is being worked on.

    Raises:
        CancelledError: they did.
    """
    meter = _current.get()
    if meter is not None and meter.is_cancelled():
        raise CancelledError("the run was cancelled; what had finished is kept")


def wait(seconds: float) -> None:
    """Wait, unless the request is cancelled meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        stop_if_cancelled()
        time.sleep(min(_TICK_S, left))


def _prompt_tokens(ask: Ask) -> int:
    parts = [part for m in ask.messages for part in ([m["content"]] if isinstance(m["content"], str) else m["content"])]
    characters = sum(len(part if isinstance(part, str) else str(part.get("text", ""))) for part in parts)
    return characters // CHARACTERS_A_TOKEN
