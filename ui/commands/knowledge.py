"""`readingroom knowledge`: the store of past reports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowledge.hits import Filters

app = typer.Typer(help="The store of past reports.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
MAX_BAD_SHOWN = 10


@app.command()
def ingest(  # noqa: PLR0913  (an option each)
    path: Annotated[
        Path | None, typer.Argument(help="File, folder or archive of reports. None: the sample reports.")
    ] = None,
    *,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="openi, text, table, dicom-sr, fhir, hl7, docx, pdf or export. None: by suffix."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Name of the collection. None: the file's or folder's.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="For tables: FIELD=COLUMN, such as text=report_text; may be repeated.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of text and tables.")] = "utf-8",
    masking: Annotated[bool, typer.Option("--mask/--no-mask", help="Take patient identifiers out first.")] = True,
    as_json: AsJson = False,
) -> None:
    """Put reports into the store; those already there are passed over, changed ones replaced."""
    from knowledge.readers.formats import read_reports
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import REPORTS, REPORTS_MEMBER, fetch

    assistant, terminal = open_assistant(), Terminal()
    fetch(terminal, assistant.assets, ["minilm"] if path else ["minilm", REPORTS])
    records, total = read_reports(
        path or assistant.assets.path(REPORTS, REPORTS_MEMBER),
        source=source,
        format_name=format_name if path else "openi",
        columns=_columns(column) if column else None,
        encoding=encoding,
    )
    store = assistant.open_knowledge()
    with terminal.amounts("storing reports") as show:
        summary = store.ingest(records, on_progress=show, total=total, masking=masking)
    if as_json:
        terminal.json(asdict(summary))
        return
    terminal.show(f"{summary.added} added, {summary.updated} updated, {summary.unchanged} unchanged")
    if summary.masked:
        terminal.show("masked: " + ", ".join(f"{count} {kind}" for kind, count in sorted(summary.masked.items())))
    for line in summary.bad[:MAX_BAD_SHOWN]:
        terminal.note(f"passed over: {line}", style="yellow")
    if len(summary.bad) > MAX_BAD_SHOWN:
        terminal.note(f"and {len(summary.bad) - MAX_BAD_SHOWN} more were passed over (all of them: --json)")


def _columns(pairs: list[str]) -> dict[str, str]:
    from knowledge.errors import BadInputError

    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise BadInputError(f"column must be FIELD=COLUMN, such as text=report_text, got {wrong[0]!r}")
    return dict(pair.split("=", 1) for pair in pairs)


@app.command()
def delete(
    report_ids: Annotated[list[str], typer.Argument(help="Ids of reports, such as CXR1.")], *, as_json: AsJson = False
) -> None:
    """Remove reports from the store, with the sentences and vectors that no other report holds."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    terminal = Terminal()
    removed = open_assistant().open_knowledge().delete(report_ids)
    if as_json:
        terminal.json({"deleted": removed})
    else:
        terminal.show(f"{removed} of {len(report_ids)} reports deleted")


@app.command()
def export(path: Annotated[Path, typer.Argument(help="JSON Lines file to write.")], *, as_json: AsJson = False) -> None:
    """Write every report of the store, as stored; 'ingest --format export' reads it back."""
    from knowledge.readers.export import write_export
    from ui.assistants import open_assistant
    from ui.console import Terminal

    terminal = Terminal()
    count = write_export(open_assistant().open_knowledge().export(), path)
    if as_json:
        terminal.json({"exported": count, "file": str(path)})
    else:
        terminal.show(f"{count} reports written to {path}")


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for, in plain language.")],
    *,
    k: Annotated[int, typer.Option("-k", help="How many reports.")] = 10,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="FILTER=VALUE, may be repeated: modality, body_part, source, patient, section, date_from, date_to, "
            "present or absent (a finding)."
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why each report matched.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find reports by what they state, deny or mean; prints the sentence that matched."""
    from rich.table import Table
    from rich.text import Text

    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import clean

    terminal = Terminal()
    hits = open_assistant().open_knowledge().search(query, k=k, filters=_filters(where or []))
    if as_json:
        terminal.json([asdict(h) for h in hits])
        return
    if not hits:
        terminal.note("no report comes near; the store holds nothing of the kind, or nothing at all (knowledge stats)")
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for hit in hits:
        reason = f"\n{hit.why}" if why else ""
        sentence = Text(clean(hit.sentence) + reason)
        table.add_row(Text(f"[{clean(hit.report_id)}]"), f"{hit.score:.2f}", hit.section, sentence)
    terminal.show(table)


def _filters(pairs: list[str]) -> Filters | None:
    from pydantic import ValidationError

    from knowledge.errors import BadInputError
    from knowledge.hits import Filters

    values: dict[str, str | list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name in {"present", "absent"}:
            values[name] = [*values.get(name, []), value]
        else:
            values[name] = value
    try:
        return Filters.model_validate(values) if values else None
    except ValidationError as error:
        names = ", ".join(Filters.model_fields)
        raise BadInputError(f"where must be FILTER=VALUE with one of {names}; got {', '.join(pairs)}") from error


@app.command()
def stats(*, as_json: AsJson = False) -> None:
    """Say how many reports and sentences the store holds."""
    from ui.assistants import open_assistant
    from ui.console import Terminal

    terminal = Terminal()
    found = open_assistant().open_knowledge().stats()
    if as_json:
        terminal.json(asdict(found))
        return
    terminal.show(
        f"{found.reports} reports, {found.sentences} sentences ({found.distinct_sentences} distinct)",
        *(f"  {name}: {count}" for name, count in found.sources.items()),
        f"embedding: {found.embedder}",
    )
