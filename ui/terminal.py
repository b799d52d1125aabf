"""A run and its answer for a terminal: pure functions that return what rich prints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ui.render import (
    RESEARCH_USE,
    argument_text,
    cited_of,
    clean,
    evidence_text,
    facts_text,
    files_of,
    held_back_of,
    measurements_of,
    paragraphs_of,
    quantity_text,
    seconds_text,
    target_text,
    value_text,
)

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.compare_llms import Compared
    from agent.plan import Plan
    from tools.results import Claim
    from ui.view import RunView, StepView

_SIGNS = {"waiting": "·", "running": "▸", "done": "✓", "failed": "✗", "skipped": "–"}
_STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red", "skipped": "yellow"}
_OUTCOMES = {
    "answered": "answered",
    "clarify": "needs something from you",
    "declined": "declined",
    "waiting": "waits for your decision",
    "failed": "no step gave a result",
}


def pause_parts(answer: Answer) -> Iterator[RenderableType]:
    """Yield a plan that waits: its steps, why it waits, what it will cost and what it lacks."""
    pause = answer.pause
    if pause is None:
        return
    memory = f", {pause.device_memory_mb} MB of device memory" if pause.device_memory_mb else ""
    lines = [Text(f"about {seconds_text(pause.estimated_seconds)} to run{memory}")]
    lines += [Text(f"waits because: {clean(reason)}") for reason in pause.reasons]
    lines += [Text(f"lacking: {clean(lack)}", style="yellow") for lack in pause.lacks]
    yield _part("Plan that waits for you", Group(plan_table(pause.plan), *lines))


def plan_table(plan: Plan) -> Table:
    """Return the steps of a plan before any has run."""
    table = _table()
    for step in plan.steps:
        model = f"model {step.model}" if step.model else ""
        table.add_row(
            Text(step.id), Text(step.tool, style="bold"), Text(argument_text(step.args), style="dim"), Text(model)
        )
    return table


def answer_parts(answer: Answer, base: Path | None = None) -> Iterator[RenderableType]:
    """Yield an answer part by part: steps, measurements, sentences, cited reports, draft, files.

    Args:
        answer: what the reading answered.
        base: paths below this folder are printed relative to it.
    """
    if answer.pause is not None:
        yield from pause_parts(answer)
        return
    if answer.plan is not None:
        yield _part("Plan and steps", steps_table(answer))
    if answer.outcome in ("clarify", "declined", "waiting"):
        yield _part(_OUTCOMES[answer.outcome].capitalize(), sentences(answer.claims))
        return
    if rows := measurements_table(answer):
        yield _part("Measurements", rows)
    spoken = [c for c in answer.claims if c.kind != "quoted"]
    if spoken:
        yield _part("Answer", sentences(spoken))
    if held_back := held_back_of(answer):
        held = Group(*(Text(clean(s), style="yellow") for s in held_back))
        yield _part("Held back: not supported by the evidence", held)
    if cited := cited_table(answer):
        yield _part("Cited reports (other patients)", cited)
    if answer.draft is not None:
        yield _part("Draft report", draft_text(answer))
    yield _part("Files", files_table(answer, base))
    yield Text(f"\n{RESEARCH_USE}", style="dim")


def headline(answer: Answer) -> Text:
    """Return the first line of an answer."""
    return Text(
        f"Reading {answer.reading}: {_OUTCOMES[answer.outcome]} in {seconds_text(answer.seconds)}", style="bold"
    )


def steps_table(answer: Answer) -> Table:
    """Return the plan with each step's time and result."""
    table = _table()
    made = {a.id: a for a in answer.artifacts}
    failed = {f.step: f for f in answer.failures}
    for step in answer.plan.steps if answer.plan else ():
        artifact, failure = made.get(step.id), failed.get(step.id)
        if artifact:
            marks = "".join(f"[{m}] " for m in artifact.marks)
            state, seconds, words = "done", seconds_text(artifact.provenance.seconds), marks + clean(artifact.summary)
        elif failure:
            state, seconds, words = ("skipped" if failure.kind == "skipped" else "failed"), "", clean(failure.message)
        else:
            state, seconds, words = "waiting", "", ""
        sign = Text(_SIGNS[state], style=_STYLES[state])
        call = Text.assemble((f"{step.tool}", "bold"), "  ", (argument_text(step.args), "dim"))
        table.add_row(sign, Text(step.id), Text(seconds, justify="right"), Group(call, Text(words)))
    return table


def measurements_table(answer: Answer) -> Table | None:
    """Return every measured row with its unit and where the millimetres came from, or None."""
    rows = measurements_of(answer.artifacts)
    if not rows:
        return None
    table = _table(header=True)
    for name in ("structure", "quantity", "value", "spacing from", "evidence"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for step, row in rows:
        cells = (target_text(row.target), quantity_text(row), value_text(row), row.spacing_source or "–", f"[{step}]")
        table.add_row(*(Text(clean(c)) for c in cells))
    return table


def sentences(claims: Iterable[Claim]) -> Group:
    """Return sentences with their evidence ids."""
    return Group(*(_sentence(c) for c in claims))


def _sentence(claim: Claim) -> Text:
    line = Text(clean(claim.text))
    if claim.evidence:
        line.append(f" {evidence_text(claim.evidence)}", style="cyan")
    if claim.kind in ("model opinion", "model score", "not examined"):
        line.append(f" ({claim.kind})", style="dim")
    return line


def cited_table(answer: Answer) -> Table | None:
    """Return the report sentences that were found, or None."""
    cited = cited_of(answer.artifacts)
    if not cited:
        return None
    table = _table()
    for hit in cited:
        table.add_row(Text(f"[{clean(hit.report_id)}]", style="cyan"), Text(hit.section), Text(f"“{hit.sentence}”"))
    return table


def draft_text(answer: Answer) -> Group:
    """Return the draft, part by part."""
    parts: list[RenderableType] = []
    for paragraph in paragraphs_of(answer.draft) if answer.draft else ():
        parts.append(Text(paragraph.title, style="bold"))
        parts.append(Padding(sentences(paragraph.claims), (0, 0, 0, 2)))
    return Group(*parts)


def files_table(answer: Answer, base: Path | None = None) -> Table:
    """Return where each file is."""
    table = _table()
    for file in files_of(answer):
        table.add_row(Text(file.step), Text(file.what), _path(file.path, base))
    table.add_row(Text(""), Text("run record"), _path(Path(answer.folder) / "record.jsonl", base))
    return table


def run_lines(view: RunView, now: float | None = None) -> Group:
    """Return a run as far as it is, for a live display.

    Args:
        view: the run.
        now: seconds since the epoch; None asks the clock.
    """
    now = time.time() if now is None else now
    lines: list[RenderableType] = [
        Text(f"{clean(a.name)}  {facts_text(a.facts)}", style="dim") for a in view.attachments
    ]
    if view.planning_by:
        lines.append(
            Text(f"▸ planning with {view.planning_by}  {seconds_text(now - view.planning_since)}", style="cyan")
        )
        if view.plan_writing:
            lines.append(Text(f"  not yet checked: {clean(', '.join(view.plan_writing))}", style="dim italic"))
    lines += [step_line(s, now) for s in view.steps]
    for writing in view.writing:
        lines.append(Text(f"  {clean(writing.model)} is writing, not yet checked:", style="yellow"))
        lines += [Text(f"    {clean(sentence)}", style="dim italic") for sentence in writing.sentences]
    return Group(*lines)


def step_line(step: StepView, now: float) -> Text:
    """Return one line for a step: sign, id, tool, time, progress or result."""
    seconds = now - step.started_at if step.state == "running" else step.seconds
    shown = seconds_text(max(0.0, seconds)) if step.state in ("running", "done", "failed") else ""
    percent = f"{step.fraction:.0%}  " if step.state == "running" and step.fraction > 0 else ""
    words = step.message or (argument_text(step.args) if step.state in ("waiting", "running") else "")
    return Text.assemble(
        (f"{_SIGNS[step.state]} {step.id:<3} {step.tool:<16}", _STYLES[step.state]),
        (f"{shown:>9}  ", "bold"),
        percent,
        clean(words),
        no_wrap=True,
        overflow="ellipsis",
    )


def planners_table(rows: Sequence[Compared], baselines: Mapping[str, float]) -> Table:
    """Return planners side by side, with what anybody could do below them."""
    table = _table(header=True)
    for name in ("planner", "endpoint", "right", "accuracy", "arguments", "median", "tokens a case"):
        table.add_column(name, justify="left" if name in ("planner", "endpoint") else "right")
    for row in rows:
        head = (clean(row.name), clean(row.endpoint))
        if row.report is None:
            table.add_row(*map(Text, head), Text(f"not asked: {clean(row.problem)}", style="red"))
            continue
        report, cases = row.report, len(row.report.results)
        args = "–" if report.args_accuracy is None else f"{report.args_accuracy:.1%}"
        figures = (f"{report.correct} of {cases}", f"{report.accuracy:.1%}", args, f"{report.median_seconds:.2f} s")
        table.add_row(*map(Text, (*head, *figures, f"{row.tokens / cases:.0f}")))
    for name, share in baselines.items():
        table.add_row(*map(Text, (name, "baseline", "", f"{share:.1%}")))
    return table


def _part(title: str, body: RenderableType) -> Group:
    return Group(Text(f"\n{title}", style="bold underline"), Padding(body, (0, 0, 0, 2)))


def _table(*, header: bool = False) -> Table:
    return Table(box=None, show_header=header, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _path(path: Path, base: Path | None) -> Text:
    shown = path.relative_to(base) if base is not None and path.is_relative_to(base) else path
    return Text(clean(str(shown)), overflow="fold")
