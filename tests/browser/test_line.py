"""A closed laptop: every connection is cut in mid-run, and the page finds back by itself (Gradio
loads it anew as soon as the server answers)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

DONE = ".rr-answer:not(.rr-waiting)"


class Line:
    """What lies between a browser and a server, and can be cut.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.is_up = True
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._answer, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and take no new one until `is_up` is set again."""
        self.is_up = False
        while self._open:
            _end(self._open.pop())

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _answer(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            if not self.is_up:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65_536):
            target.sendall(part)
    _end(source)
    _end(target)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()


@pytest.fixture
def line(serve) -> Iterator[Line]:
    made = Line(serve(step_seconds=1.5).port)
    yield made
    made.close()


@pytest.mark.parametrize("away_s", [1, 12], ids=["the run goes on", "the run has ended"])
def test_a_cut_line_that_comes_back_shows_the_answer_by_itself(line, visit, away_s):
    person = visit(line.address)
    person.ask("Segment the lungs.")
    person.page.wait_for_selector(".rr-running", timeout=60_000)
    line.cut()
    time.sleep(away_s)
    assert person.page.locator(DONE).count() == 0
    line.is_up = True
    person.page.wait_for_selector(DONE, timeout=60_000)
    assert "Segment the lungs." in person.page.inner_text("#rr-talk")
    person.page.wait_for_selector("#rr-ask", timeout=60_000)
