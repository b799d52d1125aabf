"""`readingroom eval`: how well planner and report search do on files of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure planner and report search.", no_args_is_help=True, rich_markup_mode=None)
Cases = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, one case a line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures and every result as JSON.")]


@app.command()
def plans(file: Cases, *, as_json: AsJson = False) -> None:
    """Plan every request of a file and compare with the accepted plans."""
    from agent.evaluation import evaluate_plans, read_plan_cases, scores
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.render import clean

    terminal = Terminal()
    cases = read_plan_cases(file)
    planner = open_assistant().open_planner()
    results = []
    with terminal.amounts("planning") as show:
        for result in evaluate_plans(cases, planner):
            results.append(result)
            show(len(results), len(cases))
    found = scores(results)
    if as_json:
        terminal.json(found.model_dump(mode="json"))
        return
    for result in found.results:
        if not result.correct:
            terminal.show(
                f"✗ {result.id} {clean(result.request)}", f"    expected {result.expected}, got {clean(result.got)}"
            )
    args = "no case names arguments" if found.args_accuracy is None else f"arguments {found.args_accuracy:.1%}"
    terminal.show(
        f"{found.correct} of {found.cases} right ({found.accuracy:.1%}); {args}; median {found.median_seconds:.2f} s"
    )


@app.command()
def retrieval(file: Cases, *, as_json: AsJson = False) -> None:
    """Run every query of a file and compare its hits with the reports' headings."""
    from knowledge.evaluation import evaluate_retrieval, read_cases
    from knowledge.readers.openi import read_openi_headings
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import REPORTS, REPORTS_MEMBER
    from ui.render import clean

    terminal = Terminal()
    cases = read_cases(file)
    assistant = open_assistant()
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
