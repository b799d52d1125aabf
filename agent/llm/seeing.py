"""Asks a language model about pictures: PNG bytes as data URLs, which the egress gate decodes before they leave."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import ConfigError, LLMUnavailableError, ModelBehaviorError
from agent.llm.chat import Ask, Reply
from tools.contract import Seen
from tools.errors import UnavailableError


def look(chat: Callable[[Ask], Reply], prompt: str, pictures: Sequence[bytes], max_tokens: int) -> Seen:
    """Return the answer to a prompt about pictures.

    Args:
        chat: answers one call.
        prompt: the question.
        pictures: each the bytes of a PNG file.
        max_tokens: of the answer.

    Raises:
        UnavailableError: the model cannot be reached, gives no answer, or its egress policy lets no pixels out.
    """
    urls = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    try:
        reply = chat(Ask([{"role": "user", "content": parts}], max_tokens=max_tokens, purpose="look"))
    except (ConfigError, LLMUnavailableError, ModelBehaviorError) as error:
        raise UnavailableError(str(error)) from error
    return Seen(reply.text, reply.altered)
