"""`readingroom knowledge`: the store of past reports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The store of past reports.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
MAX_BAD_SHOWN = 10


@app.command()
def ingest(
    path: Annotated[
        Path | None, typer.Argument(help="Open-i XML: a tgz, zip, folder or file. None: the sample reports.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Put reports into the store; those already there are passed over."""
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import REPORTS, fetch, ingest_openi

    assistant, terminal = open_assistant(), Terminal()
    fetch(terminal, assistant.assets, ["minilm"] if path else ["minilm", REPORTS])
    summary = ingest_openi(terminal, assistant, path)
    if as_json:
        terminal.json(asdict(summary))
        return
    terminal.show(f"{summary.added} added, {summary.updated} updated, {summary.unchanged} unchanged")
    for line in summary.bad[:MAX_BAD_SHOWN]:
        terminal.note(f"passed over: {line}", style="yellow")
    if len(summary.bad) > MAX_BAD_SHOWN:
        terminal.note(f"and {len(summary.bad) - MAX_BAD_SHOWN} more were passed over (all of them: --json)")


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for, in plain language.")],
    *,
    k: Annotated[int, typer.Option("-k", help="How many reports.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find reports by meaning; prints the sentence that matched."""
    from rich.table import Table
    from rich.text import Text

    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import clean

    terminal = Terminal()
    hits = open_assistant().open_knowledge().search(query, k=k)
    if as_json:
        terminal.json([asdict(h) for h in hits])
        return
    if not hits:
        terminal.note("no report comes near; the store holds nothing of the kind, or nothing at all (knowledge stats)")
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for hit in hits:
        table.add_row(Text(f"[{clean(hit.report_id)}]"), f"{hit.score:.2f}", hit.section, Text(clean(hit.sentence)))
    terminal.show(table)


@app.command()
def stats(*, as_json: AsJson = False) -> None:
    """Say how many reports and sentences the store holds."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    terminal = Terminal()
    found = open_assistant().open_knowledge().stats()
    if as_json:
        terminal.json(asdict(found))
        return
    terminal.show(
        f"{found.reports} reports, {found.sentences} sentences ({found.distinct_sentences} distinct)",
        *(f"  {name}: {count}" for name, count in found.sources.items()),
        f"embedding: {found.embedder}",
    )
