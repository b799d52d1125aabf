"""Progress and results on their streams, with and without somebody watching."""

import io
import sys

import pytest
from rich.table import Table

from ui import console
from ui.console import Terminal


def test_progress_in_a_log_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console, "QUIET_S", 0.0)
    with Terminal().amounts("fetching x", in_bytes=True) as show:
        show(1_000_000, 2_000_000)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["fetching x …", "fetching x: 1.0 MB of 2.0 MB", "fetching x: done"]


def test_progress_in_a_log_is_quiet_otherwise(capsys):
    with Terminal().amounts("storing reports") as show:
        for done in range(100):
            show(done, None)
    assert capsys.readouterr().err.splitlines() == ["storing reports …", "storing reports: done"]


def test_a_failure_leaves_no_done_behind(capsys):
    with pytest.raises(RuntimeError), Terminal().amounts("fetching x"):
        raise RuntimeError("no network")
    assert capsys.readouterr().err.splitlines() == ["fetching x …"]


def test_plain_output_has_no_trailing_blanks_and_no_markup(capsys):
    table = Table(box=None)
    table.add_column("a")
    table.add_row("[red]x[/red]")
    Terminal().show("[bold]title[/bold]", table)
    assert [line.rstrip("\n") for line in capsys.readouterr().out.splitlines()] == [
        "[bold]title[/bold]",
        " a",
        " [red]x[/red]",
    ]


class Watched(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_watched_run_is_a_live_display(monkeypatch):
    from agent.events import StepStarted
    from ui.live import LiveRun

    stream = Watched()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with LiveRun(Terminal()) as live:
        live.on_event(StepStarted(step="s1", tool="segment", args={}))
    assert "\x1b[" in stream.getvalue()


def test_no_color_is_honoured(monkeypatch):
    stream = Watched()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    from rich.text import Text

    Terminal().show(Text("x", style="red"))
    assert "\x1b[31m" not in stream.getvalue()
