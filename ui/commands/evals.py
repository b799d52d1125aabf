"""`readingroom eval`: how well planner and report search do on files of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PLANNER_NEEDS = ("minilm", "smollm2")
app = typer.Typer(help="Measure planner and report search.", no_args_is_help=True, rich_markup_mode=None)
Cases = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, one case a line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures and every result as JSON.")]


@app.command()
def plans(file: Cases, *, as_json: AsJson = False) -> None:
    """Plan every request of a file and compare with the accepted plans; fetches what the planner lacks."""
    from agent.evals import evaluate_plans, read_cases
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import fetch
    from ui.render import clean

    terminal = Terminal()
    read_cases(file)  # a mistake in the file is told before anything is fetched for it
    assistant = open_assistant()
    fetch(terminal, assistant.assets, PLANNER_NEEDS)
    report = evaluate_plans(file, assistant.open_planner())
    if as_json:
        terminal.json(report.to_json())
        return
    for result in report.results:
        if not result.is_correct:
            wanted = " or ".join("+".join(t) for t in result.case.tools) or result.case.outcome
            got = "+".join(result.tools) or (result.outcome.outcome if result.outcome else result.error)
            terminal.show(
                f"✗ {result.case.id} {clean(result.case.request)}", f"    expected {wanted}, got {clean(got)}"
            )
    args = "no case names arguments" if report.args_accuracy is None else f"arguments {report.args_accuracy:.1%}"
    beside = ", ".join(f"{name} {share:.1%}" for name, share in report.baselines.items())
    terminal.show(
        f"{report.correct} of {len(report.results)} right ({report.accuracy:.1%}); {args}; "
        f"median {report.median_seconds:.2f} s",
        f"baselines: {beside}",
    )


@app.command()
def retrieval(file: Cases, *, as_json: AsJson = False) -> None:
    """Run every query of a file and compare its hits with the reports' headings.

    Fetches the Open-i reports and stores them in an empty store first.
    """
    from knowledge.evaluation import evaluate_retrieval, read_cases
    from knowledge.readers.openi import read_openi_headings
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import REPORTS, REPORTS_MEMBER, store_openi_once
    from ui.render import clean

    terminal = Terminal()
    cases = read_cases(file)
    assistant = open_assistant()
    store_openi_once(terminal, assistant)
    headings = read_openi_headings(assistant.assets.path(REPORTS, REPORTS_MEMBER))
    found = evaluate_retrieval(cases, assistant.open_knowledge(), headings)
    if as_json:
        terminal.json(found.model_dump(mode="json"))
        return
    for result in found.results:
        terminal.show(f"{result.p_at_10:.1f}  {result.id} {clean(result.query)}")
    terminal.show(
        f"mean precision at 10: {found.mean_p_at_10:.3f} over {found.queries} queries; "
        f"median {found.median_seconds:.2f} s"
    )
