"""One turn of the conversation as HTML: the request, the plan with its steps, then what they made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ui.components.html import element, image, text
from ui.render import (
    Cited,
    FileLine,
    argument_text,
    bytes_text,
    cited_of,
    decider_text,
    facts_text,
    figures_of,
    files_of,
    measurements_of,
    paragraphs_of,
    quantity_text,
    seconds_text,
    target_text,
    value_text,
)

if TYPE_CHECKING:
    from agent.answer import Answer
    from tools.results import Claim, Measurement
    from ui.view import RunView, StepView

LinkTo = Callable[[Path], str]
"""Returns the address under which the page's own session can fetch a file of the reading."""

_SIGNS = {"waiting": "○", "running": "◔", "done": "✓", "failed": "✕", "skipped": "–"}
_STATE_WORDS = {"waiting": "waiting", "running": "running", "done": "done", "failed": "failed", "skipped": "skipped"}
_ENDINGS = {
    "clarify": "A question back",
    "declined": "Declined",
    "waiting": "Waits for your decision",
    "failed": "No step gave a result",
}


def request_html(view: RunView) -> str:
    """Return what the person asked, with the files taken in."""
    files = "".join(
        element("li", element("b", text(a.name)), " ", element("span", text(facts_text(a.facts))))
        for a in view.attachments
    )
    return element(
        "div",
        element("p", text(view.request, keep_lines=True)),
        element("ul", files, css="rr-attached") if files else "",
        css="rr-request",
    )


def progress_html(view: RunView, now: float) -> str:
    """Return plan and steps as far as they are.

    Args:
        view: the run.
        now: seconds since the epoch.
    """
    if view.planned is None and not view.steps:
        return "" if view.is_over else element("div", _pending(view, now), css="rr-plan", role="status")
    steps = "".join(step_html(s, now) for s in view.steps)
    return element("div", _plan_head(view), element("ol", steps), _lacks(view), css="rr-plan")


def _pending(view: RunView, now: float) -> str:
    if view.planning_by:
        seconds = seconds_text(max(0.0, now - view.planning_since))
        return _busy(f"Planning with {view.planning_by}", seconds)
    return _busy("Reading the files" if view.reading else "In the queue", "")


def _busy(words: str, seconds: str) -> str:
    return element(
        "p", element("i", css="rr-dot"), text(words), element("time", text(seconds)) if seconds else "", css="rr-busy"
    )


def _plan_head(view: RunView) -> str:
    if view.planned is None:
        return ""
    planned = view.planned
    parts = [f"by {decider_text(planned.decided_by)}", f"in {seconds_text(planned.seconds)}"]
    if not view.is_over:
        parts.append(f"about {seconds_text(planned.estimated_seconds)} to run")
    elif view.answer is not None:
        parts.append(f"answered after {seconds_text(view.answer.seconds)}")
    return element("h3", text("Plan"), element("small", text(" · ".join(parts))))


def _lacks(view: RunView) -> str:
    if view.planned is None or not view.planned.lacks:
        return ""
    return element("ul", "".join(element("li", text(m)) for m in view.planned.lacks), css="rr-lacks")


def step_html(step: StepView, now: float) -> str:
    """Return one step: its state, tool, arguments, time, and progress or result."""
    seconds = now - step.started_at if step.state == "running" else step.seconds
    shown = seconds_text(max(0.0, seconds)) if step.state in ("running", "done", "failed") else ""
    marks = "".join(element("em", text(m), css="rr-mark") for m in step.marks)
    bar = ""
    if step.state == "running":
        bar = element("div", element("div", style=f"width:{step.fraction:.0%}"), css="rr-bar")
    return element(
        "li",
        element("span", text(_SIGNS[step.state]), css="rr-sign", title=_STATE_WORDS[step.state]),
        element(
            "div",
            element("b", text(step.tool)),
            evidence_html([step.id]),
            element("code", text(argument_text(step.args))),
            marks,
        ),
        element("time", text(shown)),
        element("p", text(step.message)) if step.message else "",
        bar,
        css=f"rr-step rr-{step.state}",
        id=f"{step.id}",
    )


def results_html(view: RunView, link_to: LinkTo) -> str:
    """Return what a finished run made: sentences, pictures, measurements, reports, draft, files."""
    if view.failed is not None:
        return error_html(view.failed.message)
    answer = view.answer
    if answer is None:
        return ""
    parts = [
        _sentences(answer),
        _held_back(answer),
        figures_html(answer, link_to),
        measurements_html(answer),
        cited_html(cited_of(answer.artifacts)),
        draft_html(answer),
        files_html(answer, link_to),
    ]
    return element("div", *parts, css="rr-results")


def error_html(message: str) -> str:
    """Return what stopped a run."""
    return element("div", element("b", text("Stopped")), element("p", text(message)), css="rr-error", role="alert")


def _sentences(answer: Answer) -> str:
    spoken = [c for c in answer.claims if c.kind != "quoted"]
    if not spoken:
        return ""
    title = _ENDINGS.get(answer.outcome)
    head = element("h3", text(title)) if title else ""
    return element("div", head, *(_sentence(c) for c in spoken), css=f"rr-answer rr-{answer.outcome}")


def _sentence(claim: Claim) -> str:
    note = ""
    if claim.kind in ("model opinion", "model score", "not examined"):
        note = element("em", text(claim.kind), css="rr-mark")
    return element("p", text(claim.text), " ", evidence_html(claim.evidence), note)


def evidence_html(evidence: Iterable[str]) -> str:
    """Return evidence ids as small marks."""
    return "".join(element("span", text(e), css="rr-id") for e in evidence)


def _held_back(answer: Answer) -> str:
    if not answer.held_back:
        return ""
    rows = "".join(element("li", text(s)) for s in answer.held_back)
    return element(
        "div", element("h3", text("Held back: not supported by the evidence")), element("ul", rows), css="rr-held"
    )


def figures_html(answer: Answer, link_to: LinkTo) -> str:
    """Return the pictures that show the results."""
    pictures = "".join(_figure(f, link_to) for f in figures_of(answer))
    return element("div", pictures, css="rr-lightbox") if pictures else ""


def _figure(file: FileLine, link_to: LinkTo) -> str:
    address = link_to(file.path)
    caption = f"{file.step} {file.tool}: {file.path.name}"
    picture = element("a", image(address, caption), href=address, target="_blank", rel="noopener")
    return element("figure", picture, element("figcaption", text(caption)))


def measurements_html(answer: Answer) -> str:
    """Return every number that was measured, as a table."""
    rows = measurements_of(answer.artifacts)
    if not rows:
        return ""
    head = "".join(element("th", text(h)) for h in ("Structure", "Quantity", "Value", "Spacing from", ""))
    body = "".join(_measurement(step, row) for step, row in rows)
    table = element("table", element("thead", element("tr", head)), element("tbody", body))
    return element("div", element("h3", text("Measurements")), table, css="rr-measures")


def _measurement(step: str, row: Measurement) -> str:
    return element(
        "tr",
        element("td", text(target_text(row.target))),
        element("td", text(quantity_text(row))),
        element("td", text(value_text(row)), css="rr-value"),
        element("td", text(row.spacing_source or "–"), css="rr-source"),
        element("td", evidence_html([step])),
    )


def cited_html(cited: list[Cited]) -> str:
    """Return the report sentences that were found."""
    if not cited:
        return ""
    rows = "".join(
        element("li", evidence_html([c.report_id]), element("q", text(c.sentence)), element("small", text(c.section)))
        for c in cited
    )
    title = element("h3", text("Similar reports"), element("small", text("of other patients, quoted word for word")))
    return element("div", title, element("ul", rows), css="rr-cited")


def draft_html(answer: Answer) -> str:
    """Return the draft report."""
    if answer.draft is None:
        return ""
    draft = answer.draft
    parts = "".join(
        element("h4", text(p.title)) + "".join(_sentence(c) for c in p.claims) for p in paragraphs_of(draft)
    )
    head = element(
        "h3", text("Draft report"), element("small", text(f"worded by {draft.worded_by}, to be read and signed"))
    )
    return element("article", head, parts, css="rr-draft")


def files_html(answer: Answer, link_to: LinkTo) -> str:
    """Return every file, with its address."""
    if not answer.artifacts:
        return ""
    files = [*files_of(answer), FileLine("", "", Path(answer.folder) / "record.jsonl", "run record")]
    rows = "".join(_file(f, link_to) for f in files)
    return element("div", element("h3", text("Files")), element("ul", rows), css="rr-files")


def _file(file: FileLine, link_to: LinkTo) -> str:
    size = bytes_text(file.path.stat().st_size) if file.path.is_file() else "missing"
    link = element("a", text(file.path.name), href=link_to(file.path), download=file.path.name)
    return element("li", link, element("small", text(" · ".join(p for p in (file.step, file.what, size) if p))))
