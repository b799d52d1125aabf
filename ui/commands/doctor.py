"""`readingroom doctor`: what is there, what is not, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ui.failures import DONE, FAILED

SIGNS = {"ok": ("✓", "green"), "optional": ("–", "yellow"), "missing": ("✗", "red")}


def doctor(
    *,
    full: Annotated[bool, typer.Option("--full", help="Import PyTorch and ask the device too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say what is there, and what to do about what is not.

    ✓ there, – optional and not there, ✗ needed by the default path and not there. Exit code 0 without any ✗, else 1.
    """
    from rich.text import Text

    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.diagnosis import diagnose
    from ui.render import clean

    terminal, found = Terminal(), []
    for check in diagnose(open_assistant(), full=full):
        found.append(check)
        if not as_json:
            sign, style = SIGNS[check.state]
            remedy = f"\n{'':14}→ {clean(check.remedy)}" if check.remedy else ""
            terminal.show(
                Text.assemble((f"{sign} ", style), f"{check.area:<10}  ", clean(check.detail), (remedy, "dim"))
            )
    works = all(c.state != "missing" for c in found)
    if as_json:
        terminal.json({"works": works, "checks": [asdict(c) for c in found]})
    elif works:
        terminal.show("The default path works.")
    else:
        terminal.show("The default path does not work yet: see ✗ above.")
    raise typer.Exit(DONE if works else FAILED)
