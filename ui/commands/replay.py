"""`readingroom replay`: a reading's steps again, and where the results differ."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.failures import DONE, FAILED


def replay(
    reading: Annotated[str, typer.Argument(help="The reading's id.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Run a reading's steps again and show the differences.

    Exit code: 0 when nothing differs, 1 when something does.
    """
    from rich.table import Table
    from rich.text import Text

    from agent.replay import replay as run_again
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import clean

    terminal = Terminal()
    report = run_again(open_assistant(), reading)
    if as_json:
        terminal.json(report.model_dump(mode="json") | {"same": report.same})
        raise typer.Exit(DONE if report.same else FAILED)
    terminal.show(f"{report.steps} steps of {report.reading} run again as {report.replayed_as}")
    if report.software_before != report.software_after:
        terminal.show(f"software then: {report.software_before}", f"software now:  {report.software_after}")
    if report.same:
        terminal.show("Nothing differs.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("step", "where", "before", "after"):
        table.add_column(column, overflow="fold")
    for difference in report.differences:
        cells = (difference.step, difference.where, difference.before, difference.after)
        table.add_row(*(Text(clean(c)) for c in cells))
    terminal.show(table)
    raise typer.Exit(FAILED)
