"""Work that takes a while: it goes on in a thread, and whoever started it asks how far it is."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import RunError
from knowledge.errors import KnowledgeError
from tools.errors import ToolError
from ui.components.settings import progress_html, told_html
from ui.streaming import failure_of

OnAmount = Callable[[int, int | None], None]
KEPT = 50  # jobs whose end can still be asked for


@dataclass(frozen=True)
class Work:
    """Something to do."""

    title: str
    do: Callable[[OnAmount], str]
    """Does it, tells how far it is, returns what came of it."""
    in_bytes: bool = False
    """Whether the amounts are bytes."""


class Job:
    """Work that goes on."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._at: tuple[int, int | None] = (0, None)
        self._told = ""

    def run(self) -> None:
        """Work to the end; what is refused becomes one line, a bug too, with its traceback in a file."""
        try:
            self._told = told_html(self._work.do(self._tell), is_good=True)
        except (RunError, ToolError, KnowledgeError) as error:
            self._told = told_html(" ".join(str(error).split()), is_good=False)
        except BaseException as error:  # noqa: BLE001  shown on the page
            self._told = told_html(failure_of("", error).message, is_good=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self._told)

    @property
    def html(self) -> str:
        """How far it is, or what came of it."""
        return self._told or progress_html(self._work.title, *self._at, in_bytes=self._work.in_bytes)

    def _tell(self, done: int, total: int | None) -> None:
        self._at = (done, total)


class Jobs:
    """The work that this server does for its settings."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, work: Work) -> str:
        """Begin, and return the id to ask with."""
        job, name = Job(work), secrets.token_urlsafe(16)
        self._jobs[name] = job
        while len(self._jobs) > KEPT:
            self._jobs.popitem(last=False)
        threading.Thread(target=job.run, name="settings", daemon=True).start()
        return name

    def get(self, name: str) -> Job | None:
        """Return a job; None where there is none, or it ended long ago."""
        return self._jobs.get(name)
