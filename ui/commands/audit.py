"""`readingroom audit`: what left this machine, to whom, when; and whether the log was touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="What left this machine: show the log, or check that nobody touched it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Check the chain of hashes; exit 1 where a line was changed, removed, inserted or cut off."""
    from agent.settings import Settings
    from tools.audit import AuditLog
    from ui.console import Terminal

    log = AuditLog(Settings().audit_path)
    found = log.verify()
    terminal = Terminal()
    if as_json:
        broken = {"line": found.broken.line, "reason": found.broken.reason} if found.broken else None
        terminal.json({"path": str(log.path), "entries": found.entries, "last_hash": found.last_hash, "broken": broken})
    elif found.broken:
        terminal.show(f"{log.path}: line {found.broken.line}: {found.broken.reason}")
    elif found.entries == 0:
        terminal.show(f"{log.path}: no entry: nothing left this machine")
    else:
        terminal.show(f"{log.path}: {found.entries} entries, unbroken; last hash {found.last_hash}")
    if found.broken:
        raise typer.Exit(1)


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Print what left, one line each: when, to whom, under which policy, how much, what was replaced."""
    from datetime import UTC, datetime

    from agent.settings import Settings
    from tools.audit import AuditLog
    from ui.console import Terminal
    from ui.render import clean

    terminal = Terminal()
    entries = list(AuditLog(Settings().audit_path).entries())
    if as_json:
        terminal.json([dict(entry) for entry in entries])
        return
    for entry in entries:
        at = datetime.fromtimestamp(float(entry["at"]), UTC).strftime("%Y-%m-%d %H:%M:%S")
        replaced = ", ".join(f"{count} {kind}" for kind, count in entry.get("replaced", {}).items()) or "nothing"
        terminal.show(
            f"{at}  {clean(str(entry.get('to')))}  {clean(str(entry.get('policy')))}  "
            f"{_amount(entry)}; replaced: {clean(replaced)}"
        )


def _amount(entry: Mapping[str, Any]) -> str:
    """Return how much left: of a PACS objects and bytes, else characters and pictures."""
    if "objects" in entry:
        return f"{entry['objects']:,} objects, {entry.get('bytes', 0):,} bytes"
    return f"{entry.get('characters', 0):,} characters, {entry.get('images', 0)} images"
