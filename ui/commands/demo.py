"""`readingroom demo`: the main job on real data, from nothing to a draft report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.ask import EXIT_CODES, run, show

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from ui.console import Terminal

REQUEST = (
    "Segment the lungs in this CT, measure their volume and mean density, find similar reports and draft findings "
    "and impression."
)
NEEDS = ("chest-ct", "openi-reports", "minilm", "smollm2")


def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results are copied to.")] = Path("demo-output"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Run the main job on a real chest CT and real reports.

    Fetches what is missing (about 230 MB, once), needs no key and no GPU.
    """
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.deciding import decide
    from ui.results import copy_results

    terminal = Terminal(as_json=as_json)
    assistant = open_assistant()
    prepare(terminal, assistant)
    image = assistant.assets.path("chest-ct", "cxr.nii.gz")
    if not as_json:
        terminal.show(f"Request: {REQUEST}")
    reading = assistant.begin()
    answer = run(
        terminal, reading, lambda on_event: assistant.ask(REQUEST, [image], reading=reading, on_event=on_event)
    )
    answer = decide(terminal, assistant, partial(run, terminal), answer, approve=True)
    show(terminal, answer)
    copied = copy_results(answer, out)
    if not as_json:
        terminal.show("", f"Results copied to {out}:", *(f"  {path.name}" for path in copied))
    raise typer.Exit(EXIT_CODES[answer.outcome])


def prepare(terminal: Terminal, assistant: Assistant) -> None:
    """Fetch what the demo needs and store the reports, each only once."""
    from ui.diagnosis import stored_reports
    from ui.fetching import REPORTS, fetch, ingest_openi

    fetch(terminal, assistant.assets, NEEDS)
    if stored_reports(assistant.settings.data_dir / "reports") == 0:
        summary = ingest_openi(terminal, assistant)
        terminal.note(f"{summary.stored} reports of {REPORTS} stored, {len(summary.bad)} without text passed over")
