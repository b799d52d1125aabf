"""`readingroom tools`: what the planner can call, one tool alone, and whether a tool keeps its contract."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.failures import DONE, FAILED, MisuseError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tools.contract import Tool
    from tools.models.card import ModelCard

app = typer.Typer(help="The tools that the planner can call.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list")
def list_tools(
    *,
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print as a Markdown table, for docs.")] = False,
) -> None:
    """List the tools of this installation."""
    from rich.table import Table

    from tools.registry import Registry
    from ui.console import Terminal

    registry, terminal = Registry.installed(), Terminal()
    if as_json:
        tools = [{"name": t.name, "kind": t.kind, "description": t.description} for t in registry]
        terminal.json({"tools": tools, "broken": [vars(b) for b in registry.broken]})
        return
    if as_markdown:
        from ui.assistants import open_assistant

        sys.stdout.write(
            "\n".join(markdown_table(registry, open_assistant().hub.cards)) + "\n"
        )  # a terminal's width would break its lines
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("name", "gives", "what it does"):
        table.add_column(column)
    for tool in registry:
        table.add_row(tool.name, tool.kind, tool.description)
    terminal.show(table)
    for broken in registry.broken:
        terminal.note(f"{broken.name} of {broken.distribution} could not be loaded: {broken.reason}", style="yellow")


def markdown_table(tools: Iterable[Tool], cards: Iterable[ModelCard]) -> list[str]:
    """Return the lines of a table of tools: what each does, and whether it runs without weights of one's own."""
    cards = tuple(cards)
    rows = [f"| `{t.name}` | {t.description} | {_runs(t, cards)} |" for t in tools]
    return ["| tool | what it does | runs |", "|---|---|---|", *rows]


def _runs(tool: Tool, cards: Iterable[ModelCard]) -> str:
    behind = {"explain": "classify"}.get(tool.name, tool.name)
    models = [card for card in cards if card.verb == behind]
    brought = models and all(card.needs_bringing for card in models)
    adds_to_methods = tool.name in ("enhance", "synthesize")  # their models are one way among several
    return "with weights you bring" if brought and not adds_to_methods else "yes"


@app.command("new")
def new_tool(
    name: Annotated[str, typer.Argument(help="Of the tool: lower-case words joined by '_', such as bright_fraction.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the package's folder is made.")] = Path(),
) -> None:
    """Write a small package with a tool, a model card, example requests and a conformance test."""
    from tools.extension.kit import write_package
    from tools.registry import Registry
    from ui.console import Terminal

    root = write_package(name, folder, Registry.installed().names)
    Terminal().show(
        f"wrote {root}", f"  pip install -e {root}", f"  readingroom tools check {name}", f"  pytest {root}"
    )


@app.command("show")
def show_tool(name: Annotated[str, typer.Argument(help="A tool's name.")], *, as_json: AsJson = False) -> None:
    """Show a tool's arguments, what it asks of an image, and example requests."""
    from tools.registry import Registry
    from ui.console import Terminal

    tool, terminal = Registry.installed().get(name), Terminal()
    if as_json:
        terminal.json(
            {
                "name": tool.name,
                "version": tool.version,
                "kind": tool.kind,
                "description": tool.description,
                "args_schema": tool.args_schema,
                "requires": {p: r.model_dump(mode="json") for p, r in tool.requires.items()},
                "examples": [e.model_dump(mode="json") for e in tool.examples],
                "cost": tool.cost.model_dump(mode="json"),
                "needs_approval": tool.needs_approval,
                "sends": tool.sends,
                "isolated": tool.isolated,
                "timeout_s": tool.timeout_s,
            }
        )
        return
    terminal.show(*_sheet(tool))


def _sheet(tool: Tool) -> list[RenderableType]:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    for column in ("argument", "type", "default", "what"):
        table.add_column(column)
    schema = tool.args_schema
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        default = "(required)" if name in required else json.dumps(part.get("default"), ensure_ascii=False)
        table.add_row(name, _type_text(part), default, part.get("description", ""))
    asks = [f"  {p}: {_requires_text(r.model_dump())}" for p, r in tool.requires.items()]
    examples = [f"  “{e.request}”" for e in tool.examples]
    return [
        f"{tool.name} → {tool.kind}",
        tool.description,
        "",
        table,
        *(["", "Asks of its images", *asks] if asks else []),
        *(["", "Example requests", *examples] if examples else []),
    ]


def _type_text(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " | ".join(str(v) for v in part["enum"])
    if "anyOf" in part:
        return " | ".join(_type_text(p) for p in part["anyOf"])
    if part.get("type") == "array":
        return f"list of {_type_text(part.get('items', {}))}"
    if kinds := part.get("x-kinds"):
        return f"id of {'/'.join(kinds)}"
    return str(part.get("type", part.get("$ref", "any")))


def _requires_text(requires: Mapping[str, Any]) -> str:
    parts = [f"{name} {' or '.join(map(str, value))}" for name, value in requires.items() if value and name != "reason"]
    reason = f": {requires['reason']}" if requires.get("reason") else ""
    return ", ".join(parts) + reason


@app.command("run")
def run_tool(
    name: Annotated[str, typer.Argument(help="A tool's name.")],
    given: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its arguments.")] = None,
    images: Annotated[
        list[Path] | None, typer.Option("-i", "--image", metavar="PATH", help="Becomes @img1, @img2, …")
    ] = None,
    mask: Annotated[list[Path] | None, typer.Option(metavar="PATH[=LABEL]", help="Becomes @mask1, …")] = None,
    modality: Annotated[str | None, typer.Option(help="DICOM code for files that do not say.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one tool on files, without planner or language model."""
    from agent.attach import Attach, mask_given
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import clean, seconds_text

    assistant, terminal = open_assistant(), Terminal()
    tool = assistant.registry.get(name)
    attachments = [Attach(p, modality=modality) for p in images or ()]
    attachments += [mask_given(p) for p in mask or ()]
    args = parse_arguments(tool, given or (), has_image=bool(images))
    artifact = assistant.run_tool(name, args, attachments)
    if as_json:
        terminal.json(artifact.model_dump(mode="json"))
        return
    terminal.show(f"{clean(artifact.summary)}  ({seconds_text(artifact.provenance.seconds)})")
    terminal.show(json.dumps(artifact.data, indent=1, ensure_ascii=False))


def parse_arguments(tool: Tool, given: list[str] | tuple[str, ...], *, has_image: bool) -> dict[str, Any]:
    """Return arguments from `name=value` words: values are JSON where they parse as such, else text.

    A list argument may be written with commas: `targets=lungs,body`. A sole image stands for a missing `image`.

    Raises:
        MisuseError: a word without '=', or an unknown name.
    """
    from agent.edit import argument_value

    properties = tool.args_schema.get("properties", {})
    args: dict[str, Any] = {}
    for word in given:
        name, sign, value = word.partition("=")
        if not sign or name not in properties:
            raise MisuseError(f"arguments are NAME=VALUE with NAME one of {', '.join(properties)}; got {word!r}")
        args[name] = argument_value(value, properties[name])
    if has_image and "image" in properties and "image" not in args:
        args["image"] = "@img1"
    return args


@app.command("check")
def check_tools(
    names: Annotated[list[str] | None, typer.Argument(help="Which; none: all of them.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Run the conformance kit over tools: described, JSON-safe, deterministic, typed errors."""
    from dataclasses import asdict

    from ui.assistants import open_assistant
    from ui.checks import check_all
    from ui.console import Terminal

    assistant, terminal = open_assistant(), Terminal()
    registry = assistant.registry
    chosen = [registry.get(n) for n in names] if names else list(registry)
    reports = []
    for report in check_all(assistant, chosen):
        reports.append(report)
        if not as_json:
            terminal.show(f"{report.tool}: {'keeps its contract' if report.passed else 'breaks its contract'}")
            terminal.show(*(f"  {line}" for line in str(report).splitlines()))
    if as_json:
        terminal.json([asdict(r) | {"passed": r.passed} for r in reports])
    raise typer.Exit(DONE if all(r.passed for r in reports) else FAILED)
