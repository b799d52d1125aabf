"""One turn of the conversation as HTML: the request, the plan with its steps, then what they made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ui.components.citing import held_back_html, marks_html, sentence_html
from ui.components.graph import SIGNS, STATE_WORDS
from ui.components.html import element, image, text
from ui.components.states import busy_html, cut_off_html, failure_html, partial_html
from ui.render import (
    FileLine,
    argument_text,
    cited_of,
    decider_text,
    facts_text,
    figures_of,
    held_back_of,
    measurements_of,
    seconds_text,
)

if TYPE_CHECKING:
    from agent.answer import Answer
    from ui.view import RunView, StepView

LinkTo = Callable[[Path], str]
"""Returns the address under which the page's own session can fetch a file of the reading."""

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
        return "" if view.is_over else element("div", _pending(view, now), _tokens(view), css="rr-plan", role="status")
    steps = "".join(step_html(s, now) for s in view.steps)
    if view.answer is not None and view.answer.outcome in ("answered", "failed"):  # what came of it matters now
        folded = element("details", element("summary", _plan_head(view)), element("ol", steps))
        return element("div", folded, css="rr-plan")
    return element(
        "div", _plan_head(view), element("ol", steps), _lacks(view), _written(view), _tokens(view), css="rr-plan"
    ) + _checked(view)


def _pending(view: RunView, now: float) -> str:
    if view.planning_by:
        seconds = seconds_text(max(0.0, now - view.planning_since))
        return busy_html(f"Planning with {view.planning_by}", seconds) + _plan_draft(view)
    if view.before:
        others = "one run is" if view.before == 1 else f"{view.before} runs are"
        return busy_html(f"In the queue: {others} before yours" if view.before > 1 else "In the queue: yours is next")
    return busy_html("Reading the files")


def _plan_draft(view: RunView) -> str:
    """The steps that a language model has written so far, marked as unchecked; nothing before the first."""
    if not view.plan_writing:
        return ""
    head = element("h4", text("Steps so far: not yet checked"))
    rows = element("ol", *(element("li", text(tool)) for tool in view.plan_writing))
    return element("section", head, rows, css="rr-writing", aria_label="Plan being written, not yet checked")


def _tokens(view: RunView) -> str:
    """What language models were asked so far; nothing where none was."""
    if not view.tokens or view.is_over:
        return ""
    return element("p", text(f"{view.tokens:,} of {view.token_limit:,} tokens of the language model"), css="rr-tokens")


def _written(view: RunView) -> str:
    """Words of a language model while it writes them, marked as what they are: unchecked."""
    blocks = []
    for writing in view.writing:
        where = f" for {writing.step}" if writing.step else ""
        head = element("h4", text(f"{writing.model} is writing{where}: not yet checked"))
        rows = [element("p", text(s)) for s in writing.sentences]
        blocks.append(element("section", head, *rows, css="rr-writing", aria_label="Being written, not yet checked"))
    return "".join(blocks)


def _checked(view: RunView) -> str:
    """Sentences as they are checked, before the answer is whole."""
    if view.is_over or not view.sentences:
        return ""
    held = sum(not s.holds for s in view.sentences)
    rows = [sentence_html(s.claim) for s in view.sentences if s.holds]
    note = element("p", text(f"{held} held back so far"), css="rr-soft") if held else ""
    return element("div", *rows, note, busy_html("Checking sentences against their evidence"), css="rr-answer")


def _plan_head(view: RunView) -> str:
    if view.planned is None:
        return ""
    planned = view.planned
    by = planned.decided_by if planned.decided_by == "a person" else f"by {decider_text(planned.decided_by)}"
    parts = ["by a person" if planned.decided_by == "a person" else by]
    if planned.seconds:
        parts.append(f"in {seconds_text(planned.seconds)}")
    if not view.is_over and planned.estimated_seconds:
        parts.append(f"about {seconds_text(planned.estimated_seconds)} to run")
    elif view.answer is not None and view.answer.outcome != "waiting":
        parts.append(f"answered after {seconds_text(view.answer.seconds)}")
    return element("h3", text("Plan"), element("small", text(" · ".join(parts))))


def _lacks(view: RunView) -> str:
    """What stands against a plan before it has run; afterwards the steps say it themselves."""
    if view.planned is None or not view.planned.lacks or view.is_over:
        return ""
    return element("ul", "".join(element("li", text(m)) for m in view.planned.lacks), css="rr-lacks")


def step_html(step: StepView, now: float) -> str:
    """Return one step: its state, tool, arguments, time, and progress or result."""
    seconds = now - step.started_at if step.state == "running" else step.seconds
    shown = seconds_text(max(0.0, seconds)) if step.state in ("running", "done", "failed") and seconds else ""
    bar = ""
    if step.state == "running":
        bar = element(
            "div", element("div", style=f"width:{step.fraction:.0%}"), css="rr-bar", role="progressbar",
            aria_valuenow=f"{step.fraction * 100:.0f}", aria_valuemin="0", aria_valuemax="100",
            aria_label=f"{step.id} {step.tool}",
        )  # fmt: skip
    words = f"{STATE_WORDS[step.state]}: " if step.state in ("failed", "skipped") else ""
    return element(
        "li",
        element("span", text(SIGNS[step.state]), css="rr-sign", title=STATE_WORDS[step.state]),
        element(
            "div",
            element("b", text(step.tool)),
            evidence_html([step.id]),
            element("code", text(argument_text(step.args))),
            marks_html(step.marks),
        ),
        element("time", text(shown)),
        element("p", text(words + step.message)) if step.message else "",
        bar,
        css=f"rr-step rr-{step.state}",
    )


def results_html(view: RunView) -> str:
    """Return what a finished turn says: its sentences, what is held back, what failed; the rest is in the tabs."""
    if view.failed is not None:
        return failure_html(view.failed.kind, view.failed.message)
    answer = view.answer
    if answer is None:
        return cut_off_html()
    if answer.outcome == "waiting" and view.pause is not None:
        return ""
    parts = [
        _sentences(answer),
        held_back_html(held_back_of(answer)),
        partial_html(answer.failures),
        _elsewhere(answer),
    ]
    return element("div", *parts, css="rr-results")


def _sentences(answer: Answer) -> str:
    marks = {a.id: a.marks for a in answer.artifacts}
    told = [f.message for f in answer.failures]  # in full beside the sentences
    spoken = [c for c in answer.claims if c.kind != "quoted" and not any(m in c.text for m in told)]
    if not spoken:
        return ""
    title = _ENDINGS.get(answer.outcome)
    head = element("h3", text(title)) if title else ""
    rows = [sentence_html(c, [m for i in c.evidence for m in marks.get(i, ())]) for c in spoken]
    return element("div", head, *rows, css=f"rr-answer rr-{answer.outcome}")


def _elsewhere(answer: Answer) -> str:
    """Say what lies in the tabs, each a button that opens its tab."""
    found = (
        ("Evidence", len(cited_of(answer.artifacts)), "similar report"),
        ("Measurements", len(measurements_of(answer.artifacts)), "measurement"),
        ("Report", int(answer.draft is not None), "draft report"),
        ("Files", len(answer.files), "file"),
    )
    buttons = [
        element("button", text(f"{n} {what}{'' if n == 1 else 's'}"), type="button", css="rr-small", data_tab=tab)
        for tab, n, what in found
        if n
    ]
    return element("div", *buttons, css="rr-elsewhere") if buttons else ""


def evidence_html(evidence: Iterable[str]) -> str:
    """Return evidence ids as small marks."""
    return "".join(element("span", text(e), css="rr-id") for e in evidence)


def figures_html(answer: Answer, link_to: LinkTo) -> str:
    """Return the pictures that show the results."""
    pictures = "".join(_figure(f, link_to) for f in figures_of(answer))
    return element("div", pictures, css="rr-lightbox") if pictures else ""


def _figure(file: FileLine, link_to: LinkTo) -> str:
    address = link_to(file.path)
    caption = f"{file.step} {file.tool}: {file.path.name}"
    picture = element("a", image(address, caption), href=address, target="_blank", rel="noopener")
    return element("figure", picture, element("figcaption", text(caption)))
