"""A run beside the event loop: order, errors, and a loop that stays free."""

import asyncio
import time
from pathlib import Path

import pytest

from agent.errors import ReadingError, RunError
from tests.fake_assistant import FakeAssistant
from ui.streaming import GoingRun, GoingRuns, views
from ui.view import RunView


def _run(assistant, request="Segment the lungs."):
    reading = assistant.begin()
    view = RunView(request=request, reading=reading)
    return GoingRun(view, lambda on_event: assistant.ask(request, reading=reading, on_event=on_event))


async def _all(assistant, request="Segment the lungs.", runs=None):
    run = _run(assistant, request)
    (runs or GoingRuns()).start(run)
    return [view async for view in views(run)]


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


async def test_a_run_goes_on_when_nobody_looks_and_is_found_again():
    runs, run = GoingRuns(), _run(FakeAssistant(step_seconds=0.1))
    runs.start(run)
    looking = views(run)
    await anext(looking)
    await looking.aclose()  # the page was closed
    assert runs.going(run.view.reading) is run
    seen = [view async for view in views(run)]
    assert seen[-1].answer.outcome == "answered"
    assert runs.going(run.view.reading) is None
    assert runs.recent(run.id) is run


async def test_two_pages_see_the_same():
    runs, run = GoingRuns(), _run(FakeAssistant(step_seconds=0.1))
    runs.start(run)

    async def look():
        return [view async for view in views(run)]

    one, two = await asyncio.gather(look(), look())
    assert one[-1] == two[-1]


def test_a_reading_cannot_run_twice_at_once():
    runs, run = GoingRuns(), _run(FakeAssistant(step_seconds=0.1))
    runs.start(run)
    with pytest.raises(ReadingError, match="running already, started in another tab"):
        runs.start(GoingRun(run.view, lambda on_event: None))


async def test_runs_beyond_the_limit_wait_in_line_and_know_their_place():
    runs = GoingRuns(at_once=1)
    started = [_run(FakeAssistant(step_seconds=0.1)) for _ in range(3)]
    for run in started:
        runs.start(run)
    assert [run.view.before for run in started] == [0, 1, 2]
    assert runs.leave_line(started[1].view.reading)
    assert [run.view.before for run in started] == [0, 1, 1]
    assert not runs.leave_line(started[0].view.reading)  # it has begun
    assert started[1].is_over
    assert started[1].view.failed.kind == "cancelled"
    seen = [view async for view in views(started[2])]
    assert seen[-1].answer.outcome == "answered"
    assert started[0].is_over
