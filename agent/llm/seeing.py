"""Asks a language model about pictures: PNG bytes as data URLs, which the egress gate decodes before they leave."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from agent.llm.chat import Ask, Reply
from tools.contract import Seen


def look(chat: Callable[[Ask], Reply], prompt: str, pictures: Sequence[bytes], max_tokens: int) -> Seen:
    """Return the answer to a prompt about pictures.

    Args:
        chat: answers one call.
        prompt: the question.
        pictures: each the bytes of a PNG file.
        max_tokens: of the answer.
    """
    urls = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    reply = chat(Ask([{"role": "user", "content": parts}], max_tokens=max_tokens, purpose="look"))
    return Seen(reply.text, reply.altered)
