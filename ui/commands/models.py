"""`readingroom models`: the networks and methods behind the verbs."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The models behind the tools.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the model cards, and which are ready on this machine."""
    from rich.table import Table

    from ui.assistants import open_assistant
    from ui.console import Terminal

    hub, terminal = open_assistant().hub, Terminal()
    rows = [(card, hub.status(card)) for card in hub.cards]
    if as_json:
        terminal.json([c.model_dump(mode="json") | {"state": s.state, "remedy": s.remedy} for c, s in rows])
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("name", "verb", "modality", "targets", "state", "licence"):
        table.add_column(column, overflow="fold")
    for card, status in rows:
        targets = ", ".join(card.targets[:6]) + (" …" if len(card.targets) > 6 else "")
        table.add_row(card.name, card.verb, ", ".join(card.modality), targets, status.state, card.licence)
    terminal.show(table)
