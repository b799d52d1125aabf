"""An answer that comes before the whole of a request's body.

A connection that is closed while bytes lie unread in it is reset, and the answer can be lost on its way, above all
through a proxy that still sends. So the answer goes out first; then a little more is read and thrown away, then nothing
more, and the line stays open until the other side had time to read the answer and hang up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send

HANG_UP = (b"connection", b"close")
LINGER_S = 2.0  # a proxy that cannot send turns to what it was sent in milliseconds
LINGER_BYTES = 16_000_000  # what a small excess still holds: who sends first and reads then gets the answer too


class Incoming:
    """A receive that knows whether the whole body has come: nothing is waited for then.

    Args:
        receive: of the request.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_over = False

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self.is_over = message["type"] == "http.disconnect" or not message.get("more_body")
        return message


def answering_early(receive: Receive, send: Send) -> Send:
    """Return a send for a whole answer that is given though the body was not read."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), HANG_UP]}
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await send({**message, "more_body": True})
            await _read_on(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sending


async def _read_on(receive: Receive) -> None:
    """Wait until the other side has sent all or hangs up, throwing a little of it away, or until it took too long."""
    left = LINGER_BYTES
    body = receive if isinstance(receive, Incoming) else Incoming(receive)
    try:
        async with asyncio.timeout(LINGER_S):
            while not body.is_over and left > 0:
                left -= len((await body()).get("body", b""))
            await asyncio.sleep(0 if body.is_over else LINGER_S)
    except TimeoutError:
        return
