"""What a language model is to the rest of the agent: messages in, a reply with its cost out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

from agent.errors import ModelBehaviorError


class Message(TypedDict):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str | list[dict[str, Any]]
    """Text, or parts as OpenAI's API has them: {"type": "text", …}, {"type": "image_url", …}."""


Prompt = str | Sequence[Message]
CallHook = Callable[[Mapping[str, Any]], None]
"""Called once per LLM call with what the run record keeps of it."""


@dataclass(frozen=True)
class Ask:
    """One call: what to ask, and how to decode the answer."""

    prompt: Prompt
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer must fit."""
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    purpose: str = ""
    """Name and version of the prompt file, for the run record."""
    needs_likelihood: bool = False
    """Whether the reply shall say how likely its words were to the model; not every endpoint can."""
    on_text: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Called with the answer so far while it is written, where the endpoint streams; not checked against anything."""

    @property
    def messages(self) -> list[Message]:
        """Return the prompt as messages."""
        if isinstance(self.prompt, str):
            return [{"role": "user", "content": self.prompt}]
        return list(self.prompt)

    @property
    def prompt_sha256(self) -> str:
        """Return the hash of the messages."""
        return hashlib.sha256(json.dumps(self.messages, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """A model's answer and what it cost."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    model: str = ""
    finish_reason: str = "stop"
    mean_logprob: float | None = None
    """Mean natural logarithm of the tokens' probabilities, where it was asked for and the endpoint gives it."""
    notes: tuple[str, ...] = field(default=())
    """What was done to get it: retries, parameters that the endpoint would not take."""
    altered: tuple[str, ...] = ()
    """What a reader must know of how the pictures that were sent differ from the reading's."""

    def json(self) -> Any:
        """Return the answer parsed.

        Raises:
            ModelBehaviorError: cut off, or not JSON.
        """
        if self.finish_reason == "length":
            raise ModelBehaviorError(f"{self.model}: the answer was cut off after {self.tokens_out} tokens")
        try:
            return json.loads(self.text)
        except json.JSONDecodeError as error:
            raise ModelBehaviorError(f"{self.model}: the answer is not JSON ({error}): {self.text[:60]!r}") from None


class ChatModel(Protocol):
    """A language model that the planner can ask."""

    @property
    def name(self) -> str:
        """Which model answers."""
        ...

    @property
    def can_write(self) -> bool:
        """Whether its prose and its judgement are good enough to rely on; the embedded default's are not."""
        ...

    def chat(self, ask: Ask, on_call: CallHook | None = None) -> Reply:
        """Answer one call."""
        ...

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given."""
        ...


def mean_logprob(choice: Any) -> float | None:
    """Return how likely an answer's words were to the model, as the mean natural logarithm; None where it is not told.

    Args:
        choice: of an answer, as OpenAI's API has it.
    """
    tokens = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return sum(token.logprob for token in tokens) / len(tokens) if tokens else None
