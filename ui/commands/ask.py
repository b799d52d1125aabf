"""`readingroom ask`: one request over attached files, a follow-up, or going on with a stopped reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ui.failures import DONE, FAILED, MISUSE, MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.answer import Answer
    from agent.assistant import Assistant
    from agent.attach import Attach
    from agent.events import AnyEvent
    from ui.console import Terminal

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
    mask: Annotated[list[Path] | None, typer.Option(metavar="PATH", help="A mask of the first image.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
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
    from ui.results import copy_results, must_be_free

    attachments = _attachments(images or [], prior or [], mask or [], series, modality)
    _check_call(request, resume, reading, has_attachments=bool(attachments))
    if out is not None:
        must_be_free(out)
    terminal = Terminal(as_json=as_json)
    assistant = open_assistant()
    if resume is not None:
        answer = run(terminal, resume, lambda on_event: assistant.resume(resume, on_event=on_event))
    else:
        reading_id = reading or assistant.begin()
        answer = run(
            terminal,
            reading_id,
            lambda on_event: assistant.ask(request or "", attachments, reading=reading_id, on_event=on_event),
        )
    answer = decide(terminal, assistant, answer, approve=yes)
    show(terminal, answer)
    if out is not None:
        copy_results(answer, out)
        terminal.note(f"results copied to {out}")
    raise typer.Exit(EXIT_CODES[answer.outcome])


def run(terminal: Terminal, reading: str, start: Callable[[Callable[[AnyEvent], None]], Answer]) -> Answer:
    """Show a run while it happens and return its answer."""
    from ui.live import LiveRun

    terminal.note(f"reading {reading}", style="dim")
    with LiveRun(terminal) as live:
        try:
            return start(live.on_event)
        except KeyboardInterrupt:
            terminal.note(f"stopped; what had finished is kept. Go on with: readingroom ask --resume {reading}")
            raise


def decide(terminal: Terminal, assistant: Assistant, answer: Answer, *, approve: bool) -> Answer:
    """Ask the person while a plan waits for approval; `approve` agrees for them."""
    import sys

    while answer.outcome == "waiting":
        if approve:
            answer = _go_on(terminal, assistant, answer.reading, "approve", None)
        elif sys.stdin.isatty() and terminal.err.is_terminal:
            decision, comment = _asked(terminal, answer)
            answer = _go_on(terminal, assistant, answer.reading, decision, comment)
        else:
            break
    return answer


def _go_on(
    terminal: Terminal, assistant: Assistant, reading: str, decision: Literal["approve", "reject"], comment: str | None
) -> Answer:
    return run(
        terminal,
        reading,
        lambda on_event: assistant.resume(reading, decision=decision, comment=comment, on_event=on_event),
    )


def _asked(terminal: Terminal, answer: Answer) -> tuple[Literal["approve", "reject"], str | None]:
    from ui.terminal import steps_table

    terminal.err.print(steps_table(answer))
    if typer.confirm("Run this plan?", default=True, err=True):
        return "approve", None
    comment = typer.prompt("What should be different? (empty: stop here)", default="", show_default=False, err=True)
    return "reject", comment or None


def show(terminal: Terminal, answer: Answer) -> None:
    """Print an answer, as JSON where that was asked for."""
    from ui.terminal import answer_parts, headline

    if terminal.as_json:
        terminal.json(answer.model_dump(mode="json"))
        return
    terminal.show(headline(answer), *answer_parts(answer, Path.cwd()))
    if answer.outcome == "waiting":
        terminal.note(f"approve it: readingroom ask --resume {answer.reading} --yes")
    elif answer.outcome == "clarify":
        terminal.note(f'answer it: readingroom ask "…" --reading {answer.reading}')


def _attachments(
    images: list[Path], priors: list[Path], masks: list[Path], series: str | None, modality: str | None
) -> list[Attach]:
    from agent.attach import Attach

    if series is not None and len(images) != 1:
        raise MisuseError(f"--series needs exactly one -i, got {len(images)}; use -i PATH#2 to choose for each")
    found = [Attach(path, series=series, modality=modality) for path in images]
    found += [Attach(path, modality=modality, prior=True) for path in priors]
    return found + [Attach(path, kind="mask") for path in masks]


def _check_call(request: str | None, resume: str | None, reading: str | None, *, has_attachments: bool) -> None:
    if resume is not None and (request is not None or has_attachments or reading is not None):
        raise MisuseError("--resume goes on with what was asked: give no request and no files (a follow-up: --reading)")
    if resume is None and not (request or "").strip():
        raise MisuseError('a request is needed: readingroom ask "Segment the lungs and measure them." -i ct.nii.gz')
