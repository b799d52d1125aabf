"""`readingroom models`: the networks and methods behind the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ui.failures import DONE, FAILED, MisuseError

if TYPE_CHECKING:
    from tools.models.card import ModelCard
    from tools.models.hub import Hub

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


@app.command("get")
def get_model(name: Annotated[str, typer.Argument(help="A model's name; see 'readingroom models list'.")]) -> None:
    """Fetch a model's weights, or say how to come by them."""
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import fetch

    assistant, terminal = open_assistant(), Terminal()
    card = assistant.hub.get(name)
    if card.weights is None:
        terminal.show(f"{card.name} needs no weights")
        return
    if card.weights.asset:
        fetch(terminal, assistant.assets, [card.weights.asset])
    status = assistant.hub.status(card)
    if status.state != "ready":
        raise MisuseError(f"{card.name} {status.state}: {status.remedy}")
    terminal.show(f"{card.name} is ready")


@app.command("check")
def check_models(
    names: Annotated[list[str] | None, typer.Argument(help="Which; none: every one that is ready here.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Load models and compare their weights with the sha256 of their cards."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    hub, terminal = open_assistant().hub, Terminal()
    chosen = [hub.get(n) for n in names] if names else [c for c in hub.cards if hub.status(c).state == "ready"]
    found = {card.name: _problem(hub, card) for card in chosen}
    if as_json:
        terminal.json({name: {"loads": not problem, "problem": problem} for name, problem in found.items()})
    else:
        terminal.show(*(f"✗ {name}: {problem}" if problem else f"✓ {name} loads" for name, problem in found.items()))
    raise typer.Exit(FAILED if any(found.values()) else DONE)


def _problem(hub: Hub, card: ModelCard) -> str:
    from tools.errors import ToolError

    try:
        hub.runtime(card)
    except ToolError as error:
        return str(error)
    return ""
