"""Asks a language model about pictures: PNG bytes as data URLs, which the egress gate decodes before they leave."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from agent.llm.chat import Ask, Reply
from tools.contract import Seen


def look(chat: Callable[[Ask], Reply], ask: Ask, pictures: Sequence[bytes]) -> Seen:
    """Return the answer to a prompt about pictures.

    Args:
        chat: answers one call.
        ask: the question, its prompt a text.
        pictures: each the bytes of a PNG file.
    """
    urls = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    parts: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    reply = chat(replace(ask, prompt=[{"role": "user", "content": parts}]))
    return Seen(reply.text, reply.altered)
