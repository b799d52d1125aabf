"""What people meet when something is empty, missing, full or refused: what it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ui.components.html import element, text

if TYPE_CHECKING:
    from agent.answer import StepFailure
    from ui.view import RunView


class _Kind(NamedTuple):
    title: str
    advice: str


_DISK_FULL = _Kind("The disk is full", "Free some space, then go on from where it stopped: what was computed is kept.")
_FILE = _Kind("This file cannot be used", "Nothing was kept of the request. Mend or change the file and ask again.")
_MISSING = _Kind("Something that is needed is missing", "Install or start what the line above names, then go on.")
_KINDS: Mapping[str, _Kind] = {
    "attachment": _FILE,
    "AttachmentError": _FILE,
    "LLMUnavailableError": _Kind(
        "The language model does not answer",
        "Start it, or set another endpoint in the tab Settings, then go on from where it stopped.",
    ),
    "ModelBehaviorError": _Kind(
        "The language model gave nothing that can be used", "Say the request in other words, or choose another model."
    ),
    "LimitError": _Kind("A limit was reached", "Go on from where it stopped, or ask for less at a time."),
    "cancelled": _Kind("Stopped by you", "What had finished is kept. Go on from there, or ask something else."),
    "ReadingError": _Kind("This cannot be done with the reading as it is", ""),
    "ConfigError": _Kind("A setting is wrong", "Mend it and start again."),
    "unavailable": _MISSING,
    "UnavailableError": _MISSING,
    "bug": _Kind("An error of ours", "What had finished is kept; the details are in the run record, in the tab Files."),
}
_STEP_KINDS: Mapping[str, str] = {
    "unavailable": "Not available here",
    "unsupported": "Not possible with this study",
    "not_found": "Not found",
    "bad_input": "Wrong argument",
    "time_limit": "Took too long",
    "cancelled": "Stopped by you",
    "skipped": "Left out",
    "bug": "An error of ours",
}


def empty_html(what: str, how: str) -> str:
    """Return what a part of the page says while nothing is there.

    Args:
        what: what is not there.
        how: what a person does to get it.
    """
    return element("p", text(what), " ", element("span", text(how)), css="rr-nothing")


def busy_html(words: str, seconds: str = "") -> str:
    """Return that something is under way."""
    clock = element("time", text(seconds)) if seconds else ""
    return element("p", element("i", css="rr-dot"), text(words), clock, css="rr-busy", role="status")


def failure_html(kind: str, message: str) -> str:
    """Return what stopped a run, and what to do.

    Args:
        kind: of the event `Failed`.
        message: of the event.
    """
    found = _DISK_FULL if _is_disk_full(message) else _KINDS.get(kind, _Kind("Stopped", ""))
    return element(
        "div",
        element("b", text(found.title)),
        element("p", text(message)),
        element("p", text(found.advice), css="rr-advice") if found.advice else "",
        css="rr-error",
        role="alert",
    )


def cut_off_html() -> str:
    """Return that a run was cut off: the program was ended while it ran."""
    return element(
        "div",
        element("b", text("Cut off")),
        element("p", text("The program ended while this was running. What had finished is kept.")),
        element("p", text("Go on from where it stopped, or ask something else."), css="rr-advice"),
        css="rr-error",
        role="status",
    )


def partial_html(failures: Iterable[StepFailure]) -> str:
    """Return which steps gave nothing and why, beside the results of the others; nothing where all went well."""
    rows = [
        element(
            "li",
            element("b", text(f"{f.step} {f.tool}")),
            element("em", text(_step_kind(f)), css="rr-mark"),
            element("p", text(f.message)),
        )
        for f in failures
    ]
    if not rows:
        return ""
    count = f"{len(rows)} step{'' if len(rows) == 1 else 's'} gave no result"
    again = "A step can be run again, also with another model, in the tab Plan."
    return element(
        "div", element("h3", text(count)), element("ul", *rows), element("p", text(again), css="rr-advice"),
        css="rr-partial",
    )  # fmt: skip


def _step_kind(failure: StepFailure) -> str:
    return _DISK_FULL.title if _is_disk_full(failure.message) else _STEP_KINDS.get(failure.kind, "Failed")


def _is_disk_full(message: str) -> bool:
    return "disk is full" in message


def can_go_on(view: RunView) -> bool:
    """Return whether a turn that stopped can be gone on with."""
    if view.answer is not None:
        return False
    return view.failed is None or view.failed.kind not in ("attachment", "AttachmentError", "ReadingError")
