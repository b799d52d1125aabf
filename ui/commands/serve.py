"""`readingroom serve`: the page, on this machine only unless told otherwise."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Anything but 127.0.0.1 shows patient data to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
) -> None:
    """Serve the page at http://127.0.0.1:7860, or where READINGROOM_ROOT_PATH says: docs/page.md."""
    from tools.loopback import is_loopback_host
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.server import serve as run_server

    terminal, assistant = Terminal(), open_assistant()
    asks_who = assistant.settings.password_file or assistant.settings.auth_header
    if not is_loopback_host(host) and not asks_who:
        terminal.note(
            f"listening on {host}: everybody who reaches this machine can use the page; there is no log-in "
            "(READINGROOM_PASSWORD_FILE or READINGROOM_AUTH_HEADER, see docs/page.md)",
            style="yellow",
        )
    run_server(assistant, host, port, lambda url: terminal.note(f"Reading Room is at {url}  (Ctrl-C stops it)"))
