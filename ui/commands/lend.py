"""`readingroom models serve`: lends one model to Reading Rooms elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.failures import MisuseError


def serve_model(
    name: Annotated[str, typer.Argument(help="A model's name; see 'readingroom models list'.")],
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's reach it at 0.0.0.0.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and says which.")] = 8100,
    mcp: Annotated[bool, typer.Option("--mcp", help="As a tool of an MCP server, instead of plain HTTP.")] = False,
) -> None:
    """Run a model in this process for others: by plain HTTP, or as the tool run_model of an MCP server.

    Whoever reaches the address may use the model; there is no password. Listen on this machine only and let other
    machines come through an SSH tunnel.
    """
    import importlib.util

    from tools.models.remote.serving import LentModel, http_app, mcp_app
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.listening import listening, serve_on

    hub, terminal = open_assistant().hub, Terminal()
    card = hub.get(name)
    status = hub.status(card)
    if status.state != "ready":
        raise MisuseError(f"{card.name} {status.state}: {status.remedy}")
    if mcp and importlib.util.find_spec("mcp") is None:
        raise MisuseError("--mcp needs the package mcp: pip install 'readingroom[mcp]'")
    app = (mcp_app if mcp else http_app)(LentModel(hub, card))
    try:
        with listening(host, port) as (listener, address):
            terminal.show(f"{card.name} is lent at {address}{'/mcp' if mcp else '/'}; Ctrl-C ends it")
            serve_on(listener, app)
    except OSError as error:
        raise MisuseError(f"--host {host} --port {port}: {error.strerror}") from error
