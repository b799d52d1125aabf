"""Collaborators for tests: a language model that answers from a script."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.llm.chat import Ask, CallHook, Reply

Scripted = str | Mapping[str, Any] | Exception
Script = Iterable[Scripted] | Callable[[Ask], Scripted]


class ScriptedLLM:
    """Answers from a queue, or by a function of the call; records every call.

        llm = ScriptedLLM([{"outcome": "decline", "steps": [], "message": "no"}])

    Args:
        script: replies in order (text, JSON data, or an error to raise), or a function from call to reply.
        can_write: whether callers may rely on its prose and judgement.
        name: the model's name.
    """

    def __init__(self, script: Script = (), *, can_write: bool = True, name: str = "scripted") -> None:
        self._function = script if callable(script) else None
        self._queue: deque[Scripted] = deque(() if callable(script) else script)
        self.can_write = can_write
        self.name = name
        self.calls: list[Ask] = []

    def chat(self, ask: Ask, on_call: CallHook | None = None) -> Reply:
        """Return the next scripted reply.

        Raises:
            AssertionError: the script is used up.
        """
        self.calls.append(ask)
        answer = self._next(ask)
        if on_call is not None:
            on_call({"model": self.name, "prompt": ask.purpose, "prompt_sha256": ask.prompt_sha256})
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Reply(text=text, tokens_in=len(str(ask.prompt)) // 4, tokens_out=len(text) // 4, model=self.name)

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the next scripted reply as text."""
        return self.chat(Ask(prompt, schema=schema, max_tokens=max_tokens)).text

    def assert_complete(self) -> None:
        """Fail unless every scripted reply was used."""
        if self._queue:
            raise AssertionError(f"{len(self._queue)} scripted replies were not used: {list(self._queue)!r:.200}")

    def _next(self, ask: Ask) -> Scripted:
        if self._function is not None:
            return self._function(ask)
        if not self._queue:
            raise AssertionError(f"the script is used up; unexpected call {len(self.calls)}: {str(ask.prompt)[:200]!r}")
        return self._queue.popleft()
