"""A plan that waits, on the command line: approve it, edit it, reject it; by options, or at a prompt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.edit import HELP, edited_plan
from agent.errors import ReadingError
from tools.errors import ToolError
from ui.failures import MisuseError

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.assistant import Assistant
    from agent.events import AnyEvent
    from agent.plan import Plan
    from ui.console import Terminal

Run = Callable[[str, Callable[[Callable[["AnyEvent"], None]], "Answer"]], "Answer"]
"""Shows a run of a reading while it happens."""


@dataclass(frozen=True)
class Decision:
    """What a person wants done with a plan."""

    kind: Literal["approve", "edit", "reject"]
    comment: str | None = None
    edits: tuple[str, ...] = ()


def decision_of(
    *, approve: bool, reject: str | None, sets: Sequence[str], drops: Sequence[str], adds: Sequence[str],
    models: Sequence[str],
) -> Decision | None:  # fmt: skip
    """Return what the options say; None: nothing.

    Raises:
        MisuseError: a plan is to be rejected and run at once.
    """
    edits = (
        *(f"model {m}" for m in models),
        *(f"set {s}" for s in sets),
        *(f"drop {d}" for d in drops),
        *(f"add {a}" for a in adds),
    )
    if reject is not None and (approve or edits):
        raise MisuseError("--reject goes without --yes, --set, --drop, --add and --model")
    if reject is not None:
        return Decision("reject", comment=reject)
    if edits:
        return Decision("edit", edits=edits)
    return Decision("approve") if approve else None


def go_on(assistant: Assistant, run: Run, reading: str, decision: Decision) -> Answer:
    """Carry a decision out.

    Raises:
        BadInputError: an edit is not understood or names what is not there.
        ReadingError: the edited plan cannot be run; the reading still waits.
    """
    plan: Plan | None = None
    if decision.kind == "edit":
        plan = _edited(assistant, assistant.answer(reading), decision.edits)
    return run(
        reading,
        lambda on_event: assistant.resume(
            reading, decision=decision.kind, comment=decision.comment, plan=plan, on_event=on_event
        ),
    )


def decide(terminal: Terminal, assistant: Assistant, run: Run, answer: Answer, *, approve: bool) -> Answer:
    """Ask the person while a plan waits; `approve` agrees for them. Where nobody can be asked, it goes on waiting."""
    while answer.outcome == "waiting":
        if approve:
            answer = go_on(assistant, run, answer.reading, Decision("approve"))
        elif sys.stdin.isatty() and terminal.err.is_terminal:
            decision = _asked(terminal, assistant, answer)
            if decision is None:
                break
            try:
                answer = go_on(assistant, run, answer.reading, decision)
            except ReadingError as error:
                terminal.note(str(error), style="red")
        else:
            break
    return answer


def _asked(terminal: Terminal, assistant: Assistant, answer: Answer) -> Decision | None:
    """Ask at a prompt; None: leave it waiting."""
    import typer

    from ui.terminal import pause_parts

    terminal.err.print(*pause_parts(answer), sep="\n", markup=False, highlight=False)
    choice = typer.prompt("[a]pprove, [e]dit, [r]eject, [l]eave it waiting", default="a", err=True).strip().lower()
    match choice[:1]:
        case "a" | "y":
            return Decision("approve")
        case "e":
            return _edited_at_prompt(terminal, assistant, answer)
        case "r" | "n":
            comment = typer.prompt("What should be different? (empty: stop)", default="", show_default=False, err=True)
            return Decision("reject", comment=comment or None)
        case _:
            return None


def _edited_at_prompt(terminal: Terminal, assistant: Assistant, answer: Answer) -> Decision:
    """Take edits one a line until an empty one; a wrong one is told and forgotten."""
    import typer

    from ui.terminal import plan_table

    terminal.note(f"one edit a line, an empty line runs the plan: {HELP}")
    edits: list[str] = []
    while line := typer.prompt("edit", default="", show_default=False, err=True).strip():
        try:
            plan = _edited(assistant, answer, (*edits, line))
        except ToolError as error:
            terminal.note(str(error), style="red")
            continue
        edits.append(line)
        terminal.err.print(plan_table(plan), markup=False, highlight=False)
    return Decision("edit", edits=tuple(edits)) if edits else Decision("approve")


def _edited(assistant: Assistant, answer: Answer, edits: Sequence[str]) -> Plan:
    if answer.pause is None:
        raise ReadingError(f"reading {answer.reading} has no plan that waits; ask a follow-up with --reading")
    made = [int(a.id[1:]) for a in assistant.workspace(answer.reading).artifacts()]
    return edited_plan(answer.pause.plan, edits, assistant.registry, first_free=max(made, default=0) + 1)
