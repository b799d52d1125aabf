"""`readingroom eval`: how well planner and report search do on files of cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.eval_model import model

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from ui.console import Terminal

PLANNER_NEEDS = ("minilm", "smollm2")
app = typer.Typer(help="Measure planner, report search and models.", no_args_is_help=True, rich_markup_mode=None)
app.command()(model)
Cases = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, one case a line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures and every result as JSON.")]


@app.command()
def plans(
    file: Cases,
    *,
    endpoints: Annotated[
        list[str] | None,
        typer.Option("--endpoint", metavar="URL", help="Compare with the language model there. Repeat for more."),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Which one, in the order of --endpoint.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan every request of a file and compare with the accepted plans; fetches what the planner lacks.

    With --endpoint, other language models plan the same requests, and one table shows them all. The key of the settings
    goes only to the endpoint that it is set for.
    """
    from agent.evals import evaluate_plans, read_cases
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.fetching import fetch
    from ui.render import clean

    terminal = Terminal()
    read_cases(file)  # a mistake in the file is told before anything is fetched for it
    assistant = open_assistant()
    fetch(terminal, assistant.assets, PLANNER_NEEDS)
    if endpoints or models:
        raise typer.Exit(_compare(terminal, assistant, file, endpoints or [], models or [], as_json=as_json))
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


def _compare(
    terminal: Terminal, assistant: Assistant, file: Path, endpoints: list[str], models: list[str], *, as_json: bool
) -> int:
    """Print one table of planners; exit code 1 when one could not be asked."""
    from agent.compare_llms import compare_llms, contenders_of
    from ui.failures import DONE, FAILED, MisuseError
    from ui.terminal import planners_table

    if not endpoints:
        raise MisuseError("--model names a model at an --endpoint; give its address")
    contenders = contenders_of([_address(url) for url in endpoints], models)
    rows = compare_llms(file, assistant, contenders, lambda row: terminal.note(f"{row.name}: done"))
    baselines = rows[0].report.baselines if rows[0].report else {}
    if as_json:
        terminal.json({"compared": [row.to_json() for row in rows], "baselines": dict(baselines)})
    else:
        terminal.show(planners_table(rows, baselines))
    return FAILED if any(row.problem for row in rows) else DONE


def _address(url: str) -> str:
    from ui.failures import MisuseError

    if not url.startswith(("http://", "https://")):
        raise MisuseError(f"--endpoint must be an http or https address ending in /v1, got {url!r}")
    return url


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


@app.command()
def answers(file: Cases, *, as_json: AsJson = False) -> None:
    """Draft from made readings with known truth, and say how many sentences hold; baselines stand in the same table.

    With an endpoint (READINGROOM_LLM_BASE_URL), its model words the drafts too, and answers without tools.
    """
    from agent.answer_evals import evaluate_answers
    from agent.llm.lent import LentLLM
    from ui.assistants import open_assistant
    from ui.console import Terminal

    terminal = Terminal()
    assistant = open_assistant()
    llm = None if assistant.settings.uses_embedded_llm else LentLLM(assistant.open_llm)
    systems = [figures.to_json() for figures in evaluate_answers(file, llm)]
    if as_json:
        terminal.json({"systems": systems})
        return
    columns = ("valid_evidence", "numeric_fidelity", "contradictions", "abstention", "chrf")
    width = max(len(s["system"]) for s in systems)
    terminal.show(" " * width + "".join(f"  {c.replace('_', ' '):>16}" for c in columns))
    for system in systems:
        cells = "".join(f"  {'–' if system[c] is None else format(system[c], '.3f'):>16}" for c in columns)
        terminal.show(f"{system['system']:<{width}}{cells}")
    for system in systems:
        if system["failures"]:
            terminal.show(f"{system['system']}: the model gave nothing that can be used in {system['failures']} cases")
