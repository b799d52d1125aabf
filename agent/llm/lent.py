"""A language model as tools are lent it: what goes wrong with it is told in their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agent.errors import ConfigError, LimitError, LLMUnavailableError, ModelBehaviorError
from agent.llm.chat import Ask, ChatModel
from agent.llm.seeing import look
from tools.contract import Seen
from tools.errors import UnavailableError, UnsupportedError


class LentLLM:
    """Implements tools.contract.TextModel and SeeingModel over a model that is opened when it is first asked for.

    Args:
        open_llm: returns the model.
    """

    def __init__(self, open_llm: Callable[[], ChatModel]) -> None:
        self._open = open_llm

    @property
    def name(self) -> str:
        """Which model answers."""
        with _in_tools_words():
            return self._open().name

    @property
    def can_write(self) -> bool:
        """Whether its prose and judgement are good enough to rely on."""
        with _in_tools_words():
            return self._open().can_write

    @property
    def sees_images(self) -> bool:
        """Whether it reads pictures."""
        with _in_tools_words():
            return bool(getattr(self._open(), "sees_images", False))

    def complete(self, prompt: str, *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512) -> str:
        """Return the answer to a prompt, decoded under a JSON schema where one is given.

        Raises:
            UnavailableError: it cannot be reached, its budget is used up, or its policy lets nothing out.
            UnsupportedError: its answer is empty, refused, cut off or no JSON.
        """
        with _in_tools_words():
            return self._open().chat(Ask(prompt, schema=schema, max_tokens=max_tokens)).text

    def look(
        self, prompt: str, pictures: Sequence[bytes], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 512
    ) -> Seen:
        """Return the answer to a prompt about pictures; what goes wrong is raised as for `complete`."""
        with _in_tools_words():
            return look(self._open().chat, Ask(prompt, schema=schema, max_tokens=max_tokens, purpose="look"), pictures)


@contextmanager
def _in_tools_words() -> Iterator[None]:
    try:
        yield
    except ModelBehaviorError as error:
        raise UnsupportedError(str(error)) from error
    except (ConfigError, LimitError, LLMUnavailableError) as error:
        raise UnavailableError(str(error)) from error
