"""`readingroom models`: the networks and methods behind the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.lend import serve_model
from ui.failures import DONE, FAILED, MisuseError

if TYPE_CHECKING:
    from tools.models.hub import Hub

app = typer.Typer(help="The models behind the tools.", no_args_is_help=True, rich_markup_mode=None)
app.command("serve")(serve_model)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the model cards, which are ready on this machine, and what the others need."""
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
    lacking = [(card.name, status) for card, status in rows if status.remedy]
    if lacking:
        terminal.show("", "What they need", *(f"  {name}: {status.remedy}" for name, status in lacking))
    for broken in hub.broken:
        terminal.note(f"card {broken.name} of {broken.distribution} cannot be used: {broken.reason}", style="yellow")


@app.command("get")
def get_model(
    name: Annotated[str, typer.Argument(help="A model's name; see 'readingroom models list'.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="A folder, a file, a zip, an http(s) address of a file or zip, or hf:OWNER/NAME[@REVISION].",
        ),
    ] = None,
) -> None:
    """Bring a model's weights to where they are looked for, or say how to come by them."""
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import fetch

    assistant, terminal = open_assistant(), Terminal()
    card = assistant.hub.get(name)
    if card.weights is None:
        if source is not None:
            raise MisuseError(f"{card.name} needs no weights: omit --from")
        terminal.show(f"{card.name} needs no weights")
        return
    source = source or (f"hf:{card.weights.hub}" if card.weights.hub and _lacks(assistant.hub, name) else None)
    if source is not None:
        from tools.models.bring import bring

        with terminal.amounts(f"bringing {card.name}", in_bytes=True) as show:
            brought = bring(card, assistant.settings.weights_dir, source, show)
        how = "as its card says" if brought.checked else "its card names none to compare with"
        terminal.show(f"{card.name}: {brought.path}", *(f"  sha256 {h}  {f}" for f, h in brought.sha256.items()), how)
    elif card.weights.asset:
        fetch(terminal, assistant.assets, [card.weights.asset])
    status = assistant.hub.status(card)
    if status.state != "ready":
        raise MisuseError(f"{card.name} {status.state}: {status.remedy}")
    terminal.show(f"{card.name} is ready")


def _lacks(hub: Hub, name: str) -> bool:
    return hub.status(hub.get(name)).state == "needs weights"


@app.command("check")
def check_models(
    names: Annotated[list[str] | None, typer.Argument(help="Which; none: every one that is ready here.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Load models, compare their weights with their cards, and run each once on a made image."""
    from dataclasses import asdict

    from tools.models.trial import try_model
    from ui.assistants import open_assistant
    from ui.console import Terminal

    hub, terminal = open_assistant().hub, Terminal()
    chosen = [hub.get(n) for n in names] if names else [c for c in hub.cards if hub.status(c).state == "ready"]
    trials = []
    for card in chosen:
        trial = try_model(hub, card)
        trials.append(trial)
        if not as_json:
            took = f" ({trial.seconds:.1f} s on {trial.device})" if trial.works else ""
            terminal.show(f"{'✓' if trial.works else '✗'} {trial.card}: {trial.said}{took}")
            for note in trial.notes:
                terminal.show(f"    {note}")
    if as_json:
        terminal.json([asdict(trial) for trial in trials])
    raise typer.Exit(DONE if all(trial.works for trial in trials) else FAILED)
