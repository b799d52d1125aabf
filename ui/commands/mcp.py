"""`readingroom mcp`: lends the registered tools to MCP clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.failures import MisuseError

if TYPE_CHECKING:
    from agent.settings import EgressPolicy
    from ui.mcp.server import Lending


def mcp(
    *,
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP instead of standard input and output.")
    ] = (False),
    host: Annotated[str, typer.Option(help="With --http: address to listen on. There is no password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="With --http: port; 0 takes a free one and says which.")] = 8200,
    folder: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Clients may attach files of this folder by path; may be given again."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="TOOL", help="A tool that needs approval and may run without; 'all': every one."),
    ] = None,
    egress: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="What may leave to the client: local (its language model runs here: everything), "
            "remote-allowed (everything, written down), remote-deidentified (text with pseudonyms, no pictures). "
            "Default: the setting egress, else remote-deidentified.",
        ),
    ] = None,
) -> None:
    """Lend every registered tool to an MCP client, over standard input and output. See docs/mcp.md."""
    import importlib.util

    from agent.empty_readings import remove_empty_readings
    from ui.assistants import open_assistant
    from ui.console import Terminal

    if importlib.util.find_spec("mcp") is None:
        raise MisuseError("this needs the package mcp: pip install 'readingroom[mcp]'")
    assistant = open_assistant()
    remove_empty_readings(assistant.settings.readings_dir)
    lending = lending_of(folder or (), allow or (), egress or assistant.settings.egress, assistant.registry.names)
    if not http:
        from ui.mcp.server import serve_stdio

        serve_stdio(assistant, lending)
        return
    from tools.loopback import is_loopback_host
    from ui.listening import listening, serve_on
    from ui.mcp.server import http_app

    terminal = Terminal()
    if not is_loopback_host(host):
        terminal.note(
            f"listening on {host}: everybody who reaches this machine can use the tools; there is no log-in",
            style="yellow",
        )
    try:
        with listening(host, port) as (listener, address):
            terminal.note(f"the tools are at {address}/mcp  (Ctrl-C stops it)")
            serve_on(listener, http_app(assistant, lending, host))
    except OSError as error:
        raise MisuseError(f"--host {host} --port {port}: {error.strerror}") from error


def lending_of(
    folders: list[Path] | tuple[()], allow: list[str] | tuple[()], egress: str | None, tools: tuple[str, ...]
) -> Lending:
    """Return what the options say.

    Raises:
        MisuseError: a folder that is none, a tool that is none, a policy that is none.
    """
    from typing import cast, get_args

    from agent.settings import EgressPolicy
    from ui.mcp.server import Lending

    for path in folders:
        if not path.is_dir():
            raise MisuseError(f"--folder {path}: no such folder")
    if unknown := [name for name in allow if name != "all" and name not in tools]:
        raise MisuseError(f"--allow {unknown[0]}: no such tool; there are: {', '.join(tools)}")
    policy = egress or "remote-deidentified"
    if policy not in get_args(EgressPolicy):
        raise MisuseError(f"--egress must be one of {', '.join(get_args(EgressPolicy))}, got {egress!r}")
    return Lending(
        folders=tuple(p.resolve() for p in folders), allow=frozenset(allow), egress=cast("EgressPolicy", policy)
    )
