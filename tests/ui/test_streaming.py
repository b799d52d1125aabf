"""A run beside the event loop: order, errors, and a loop that stays free."""

import asyncio
import time
from pathlib import Path

import pytest

from agent.errors import RunError
from tests.fake_assistant import FakeAssistant
from ui.streaming import views
from ui.view import RunView


async def _all(assistant, request="Segment the lungs."):
    def start(on_event):
        return assistant.ask(request, on_event=on_event)

    return [view async for view in views(RunView(request=request), start)]


async def test_the_last_view_has_the_answer():
    seen = await _all(FakeAssistant())
    assert seen[-1].answer is not None
    assert seen[-1].answer.outcome == "answered"
    assert all(v.answer is None for v in seen[:-1])


async def test_steps_are_seen_while_they_run():
    seen = await _all(FakeAssistant(step_seconds=0.4))
    states = [tuple(s.state for s in v.steps) for v in seen if v.steps]
    assert ("running", "waiting", "waiting", "waiting") in states
    assert ("done", "running", "waiting", "waiting") in states
    assert states[-1] == ("done",) * 4
    fractions = [v.steps[0].fraction for v in seen if v.steps and v.steps[0].state == "running"]
    assert len(set(fractions)) > 2
    assert fractions == sorted(fractions)


async def test_the_event_loop_stays_free():
    class Blocking(FakeAssistant):
        def ask(self, request, attachments=(), *, reading=None, on_event=None):
            time.sleep(1.0)
            return super().ask(request, attachments, reading=reading, on_event=on_event)

    delays = []

    async def tick():
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            delays.append(time.monotonic() - before - 0.02)

    ticking = asyncio.create_task(tick())
    await _all(Blocking())
    ticking.cancel()
    assert len(delays) > 20
    assert max(delays) < 0.2


async def test_a_known_error_becomes_the_last_view():
    seen = await _all(FakeAssistant(raises=RunError("the disk is full")))
    assert seen[-1].failed is not None
    assert seen[-1].failed.message == "the disk is full"


async def test_a_bug_is_told_with_its_traceback_kept():
    seen = await _all(FakeAssistant(raises=ZeroDivisionError("canary")))
    message = seen[-1].failed.message
    assert "unexpected ZeroDivisionError" in message
    assert "canary" not in message
    assert "canary" in _taken_away(Path(message.rsplit(" ", 1)[1]))


def _taken_away(path):
    text = path.read_text(encoding="utf-8")
    path.unlink()
    return text


@pytest.mark.parametrize("count", [5])
async def test_runs_side_by_side_do_not_mix(count):
    found = await asyncio.gather(*(_all(FakeAssistant(step_seconds=0.05), f"request {n}") for n in range(count)))
    assert [views[-1].answer.request for views in found] == [f"request {n}" for n in range(count)]
    assert len({views[-1].reading for views in found}) == count
