"""`readingroom models`: the networks and methods behind the verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.errors import UnavailableError
from ui.commands.lend import serve_model
from ui.failures import DONE, FAILED, MisuseError

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
    from ui.fetching import bring_weights

    assistant, terminal = open_assistant(), Terminal()
    assistant.hub.get(name)  # a name that is none is said before anything is shown
    try:
        with terminal.amounts(f"bringing {name}", in_bytes=True) as show:
            said = bring_weights(assistant, name, source, show)
    except UnavailableError as error:
        raise MisuseError(str(error)) from error
    terminal.show(*said)


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
