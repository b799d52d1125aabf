"""Where output goes: results on stdout, progress and errors on stderr; plain where nobody watches."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

QUIET_S = 10.0  # between two lines of progress in a log
PLAIN_WIDTH = 120  # columns of output that goes into a file or a pipe


class OnAmount(Protocol):
    """Takes how much is done and how much there is (None: unknown)."""

    def __call__(self, done: int, total: int | None) -> None:
        """Show the amount."""
        ...


class Terminal:
    """The two streams of a command. Make one per command; nothing else prints."""

    def __init__(self, *, as_json: bool = False, events: bool = False) -> None:
        self.as_json = as_json
        self.events = events

    @property
    def out(self) -> Console:
        """Results."""
        return _console(sys.stdout)

    @property
    def err(self) -> Console:
        """Progress and errors."""
        return _console(sys.stderr)

    def show(self, *renderables: RenderableType) -> None:
        """Print results for a person."""
        console = self.out
        if console.is_terminal:
            console.print(*renderables, sep="\n", markup=False, highlight=False)
            return
        with console.capture() as capture:
            console.print(*renderables, sep="\n", markup=False, highlight=False)
        for line in capture.get().splitlines():
            sys.stdout.write(line.rstrip() + "\n")  # rich fills lines up with blanks
        sys.stdout.flush()

    def note(self, text: str, style: str = "") -> None:
        """Print a line of progress."""
        self.err.print(text, markup=False, highlight=False, soft_wrap=True, style=style or None)

    def json(self, data: Mapping[str, Any] | Sequence[Any], *, one_line: bool = False) -> None:
        """Print a result for a program."""
        indent = None if one_line else 1
        sys.stdout.write(json.dumps(data, indent=indent, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()

    @contextmanager
    def amounts(self, title: str, *, in_bytes: bool = False) -> Iterator[OnAmount]:
        """Lend a progress bar on stderr; where nobody watches, one line when it begins and one when it ends."""
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = self.err
        if not console.is_terminal:
            self.note(f"{title} …")
            yield self._now_and_then(title, in_bytes=in_bytes)
            self.note(f"{title}: done")
            return
        amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeElapsedColumn())
        with Progress(*columns, console=console, transient=False) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def _now_and_then(self, title: str, *, in_bytes: bool) -> OnAmount:
        """Return what prints an amount every `QUIET_S` seconds: a log is no place for a bar."""
        from ui.render import bytes_text

        said_at = time.monotonic()

        def say(done: int, total: int | None) -> None:
            nonlocal said_at
            if time.monotonic() - said_at < QUIET_S:
                return
            said_at = time.monotonic()
            shown = bytes_text if in_bytes else str
            self.note(f"{title}: {shown(done)}" + (f" of {shown(total)}" if total else ""))

        return say


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    watched = stream.isatty()
    return Console(file=stream, width=None if watched else PLAIN_WIDTH, soft_wrap=False, emoji=False)
