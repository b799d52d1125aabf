"""`readingroom users`: who may use the page, where it asks for a password."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.failures import MisuseError

app = typer.Typer(help="Who may use the page.", no_args_is_help=True, rich_markup_mode=None)
File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="The password file; default: the setting password_file.")
]
Name = Annotated[str, typer.Argument(help="The user's name.")]


@app.command("add")
def add(name: Name, file: File = None) -> None:
    """Add a user, or give one another password; it is asked for, or read from standard input."""
    import sys

    from ui.access.passwords import put
    from ui.console import Terminal

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    path = _path(file)
    is_new = put(path, name, password)
    Terminal().show(f"{name} {'may use the page now' if is_new else 'has another password now'} ({path})")


@app.command("remove")
def remove(name: Name, file: File = None) -> None:
    """Take a user out; their sessions end at once, their readings stay on disk."""
    from ui.access.passwords import take_away
    from ui.console import Terminal

    path = _path(file)
    if not take_away(path, name):
        raise MisuseError(f"no user {name!r} in {path}")
    Terminal().show(f"{name} may not use the page any more")


@app.command("list")
def list_users(file: File = None) -> None:
    """List the users."""
    from ui.access.passwords import Users
    from ui.console import Terminal

    Terminal().show(*sorted(Users(_path(file)).read()))


def _path(given: Path | None) -> Path:
    from ui.assistants import load_settings

    path = given or load_settings().password_file
    if path is None:
        raise MisuseError("say which file: --file FILE, or set READINGROOM_PASSWORD_FILE")
    return path
