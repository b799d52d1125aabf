"""An answer before the whole body goes out first; then the line is held only while something still comes."""

from __future__ import annotations

import asyncio

from ui.access.early import LINGER_BYTES, Incoming, answering_early

PIECE = {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}


async def _answered(messages, *, read_first=0):
    """Return what was sent, how many messages were unread when the answer went out, and how many at the end."""
    left, sent, unread = list(messages), [], []

    async def receive():
        if not left:
            await asyncio.Event().wait()  # as a server waits for the other side to hang up
        return left.pop(0)

    async def send(message):
        sent.append(message)
        unread.append(len(left))

    incoming = Incoming(receive)
    for _ in range(read_first):
        await incoming()
    answer = answering_early(incoming, send)
    await answer({"type": "http.response.start", "status": 413, "headers": []})
    await answer({"type": "http.response.body", "body": b"too large"})
    return sent, unread[1], len(left)


async def test_the_whole_answer_goes_out_before_anything_more_is_read():
    sent, at_answer, at_end = await _answered([PIECE, PIECE | {"more_body": False}])
    assert sent[0]["headers"] == [(b"connection", b"close")]
    assert [(m["body"], m.get("more_body", False)) for m in sent[1:]] == [(b"too large", True), (b"", False)]
    assert (at_answer, at_end) == (2, 0)


async def test_nothing_is_waited_for_when_the_whole_body_has_come():
    async with asyncio.timeout(1.0):  # half of what it would linger
        await _answered([PIECE | {"more_body": False}], read_first=1)


async def test_of_a_large_rest_only_a_little_is_read(monkeypatch):
    monkeypatch.setattr("ui.access.early.LINGER_S", 0.05)
    _, at_answer, at_end = await _answered([PIECE] * 50)
    assert at_answer == 50
    assert (50 - at_end) * 1_000_000 == LINGER_BYTES


async def test_who_hangs_up_ends_it():
    async with asyncio.timeout(1.0):
        await _answered([PIECE, {"type": "http.disconnect"}])
