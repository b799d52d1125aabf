"""`readingroom ask`: one request over attached files, a follow-up, or going on with a stopped reading."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.failures import DONE, FAILED, MISUSE, MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.answer import Answer
    from agent.assistant import Assistant
    from agent.attach import Attach
    from agent.events import AnyEvent
    from agent.settings import ApprovalPolicy
    from ui.console import Terminal
    from ui.deciding import Decision, Run

POLICIES: tuple[ApprovalPolicy, ...] = ("auto", "ask-before-running", "ask-before-export")

EXIT_CODES = {"answered": DONE, "declined": FAILED, "failed": FAILED, "clarify": MISUSE, "waiting": MISUSE}
"""A question back and a plan that waits are for the caller to complete, as a wrong call is."""

Images = Annotated[
    list[Path] | None,
    typer.Option(
        "-i",
        "--image",
        metavar="PATH",
        help="NIfTI, DICOM file, folder or zip, PNG or JPEG; PATH#2 takes the second series. Repeat for more.",
    ),
]


def ask(  # noqa: PLR0913, PLR0917  typer makes one option of each parameter
    request: Annotated[str | None, typer.Argument(help="What to do, in plain language.", show_default=False)] = None,
    images: Images = None,
    series: Annotated[str | None, typer.Option(help="Which series: its number in the list, or its UID.")] = None,
    modality: Annotated[
        str | None, typer.Option(help="DICOM code (CT, MR, CR, …) for files that do not say; never overrules a header.")
    ] = None,
    prior: Annotated[list[Path] | None, typer.Option(metavar="PATH", help="An earlier study, for comparison.")] = None,
    mask: Annotated[list[Path] | None, typer.Option(metavar="PATH[=LABEL]", help="A mask of the first image.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "--approve", "-y", help="Approve the plan without asking.")] = False,
    approval: Annotated[
        str | None,
        typer.Option(help=f"When plans of this reading wait for you: {', '.join(POLICIES)}.", metavar="POLICY"),
    ] = None,
    reject: Annotated[
        str | None, typer.Option(metavar="WHY", help="With --resume: plan again; '' ends it without a new plan.")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="s2.NAME=VALUE", help="With --resume: change an argument.")
    ] = None,
    drops: Annotated[
        list[str] | None, typer.Option("--drop", metavar="s3", help="With --resume: leave it out.")
    ] = None,
    adds: Annotated[
        list[str] | None, typer.Option("--add", metavar="'TOOL NAME=VALUE'", help="With --resume: one more step.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="s1=CARD", help="With --resume: the model that a step uses.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    events: Annotated[
        bool,
        typer.Option("--events", help="Print events as lines of JSON while they happen; --json adds the answer."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy the results into a new or empty folder.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with a reading that was stopped or waits for approval.")
    ] = None,
    reading: Annotated[str | None, typer.Option(metavar="ID", help="Ask a follow-up in an earlier reading.")] = None,
) -> None:
    """Ask about images in plain language.

    Exit code: 0 answered, 1 failed or declined, 2 something is needed from you: another call, an approval, an answer.
    """
    from ui.assistants import open_assistant
    from ui.console import Terminal
    from ui.deciding import decide, decision_of
    from ui.results import copy_results, must_be_free

    attachments = _attachments(images or [], prior or [], mask or [], series, modality)
    policy = _policy(approval)
    decision = decision_of(
        approve=yes, reject=reject, sets=sets or (), drops=drops or (), adds=adds or (), models=models or ()
    )
    _check_call(request, resume, reading, has_attachments=bool(attachments), decision=decision, policy=policy)
    if out is not None:
        must_be_free(out)
    terminal = Terminal(as_json=as_json, events=events)
    assistant = open_assistant()
    show_run = partial(run, terminal)
    if resume is not None:
        answer = _resumed(assistant, show_run, resume, decision)
    else:
        reading_id = reading or assistant.begin()
        if policy is not None:
            assistant.begin(reading_id, approval=policy)
        answer = show_run(
            reading_id,
            lambda on_event: assistant.ask(request or "", attachments, reading=reading_id, on_event=on_event),
        )
    answer = decide(terminal, assistant, show_run, answer, approve=yes)
    show(terminal, answer)
    if out is not None:
        copy_results(answer, out)
        terminal.note(f"results copied to {out}")
    raise typer.Exit(EXIT_CODES[answer.outcome])


def _resumed(assistant: Assistant, show_run: Run, reading: str, decision: Decision | None) -> Answer:
    """Go on with a reading. A plan that waits is not approved by going on: that needs a decision."""
    from ui.deciding import Decision, go_on

    if assistant.is_waiting(reading):
        return assistant.answer(reading) if decision is None else go_on(assistant, show_run, reading, decision)
    if decision is not None and decision.kind != "approve":
        raise MisuseError(
            f"reading {reading} has no plan that waits: --reject, --set, --drop, --add and --model need one"
        )
    return go_on(assistant, show_run, reading, Decision("approve"))


def run(terminal: Terminal, reading: str, start: Callable[[Callable[[AnyEvent], None]], Answer]) -> Answer:
    """Show a run while it happens and return its answer."""
    from ui.live import EventLines, LiveRun

    terminal.note(f"reading {reading}", style="dim")
    with EventLines() if terminal.events else LiveRun(terminal) as live:
        try:
            return start(live.on_event)
        except KeyboardInterrupt:
            terminal.note(f"stopped; what had finished is kept. Go on with: readingroom ask --resume {reading}")
            raise


def show(terminal: Terminal, answer: Answer) -> None:
    """Print an answer, as JSON where that was asked for."""
    from ui.terminal import answer_parts, headline

    if terminal.as_json:
        terminal.json(answer.model_dump(mode="json"), one_line=terminal.events)
    if terminal.as_json or terminal.events:
        return
    terminal.show(headline(answer), *answer_parts(answer, Path.cwd()))
    if answer.outcome == "waiting":
        terminal.note(f"approve it: readingroom ask --resume {answer.reading} --yes")
        terminal.note(
            "or change it: --set s2.NAME=VALUE --drop s3 --add 'TOOL NAME=VALUE' --model s1=CARD --reject WHY"
        )
    elif answer.outcome == "clarify":
        terminal.note(f'answer it: readingroom ask "…" --reading {answer.reading}')


def _attachments(
    images: list[Path], priors: list[Path], masks: list[Path], series: str | None, modality: str | None
) -> list[Attach]:
    from agent.attach import Attach, mask_given

    if series is not None and len(images) != 1:
        raise MisuseError(f"--series needs exactly one -i, got {len(images)}; use -i PATH#2 to choose for each")
    found = [Attach(path, series=series, modality=modality) for path in images]
    found += [Attach(path, modality=modality, prior=True) for path in priors]
    return found + [mask_given(path) for path in masks]


def _policy(approval: str | None) -> ApprovalPolicy | None:
    for policy in POLICIES:
        if approval == policy:
            return policy
    if approval is not None:
        raise MisuseError(f"--approval is one of {', '.join(POLICIES)}; got {approval!r}")
    return None


def _check_call(
    request: str | None,
    resume: str | None,
    reading: str | None,
    *,
    has_attachments: bool,
    decision: Decision | None,
    policy: ApprovalPolicy | None,
) -> None:
    if resume is None and decision is not None and decision.kind != "approve":
        raise MisuseError("--reject, --set, --drop, --add and --model change a plan that waits: name it by --resume ID")
    if resume is not None and policy is not None:
        raise MisuseError("--approval goes with a request; a plan that waits is decided on by --yes, --reject or edits")
    if resume is not None and (request is not None or has_attachments or reading is not None):
        raise MisuseError("--resume goes on with what was asked: give no request and no files (a follow-up: --reading)")
    if resume is None and not (request or "").strip():
        raise MisuseError('a request is needed: readingroom ask "Segment the lungs and measure them." -i ct.nii.gz')
