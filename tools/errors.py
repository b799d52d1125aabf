"""Errors a tool may raise, routed by what the planner can do about them.

ToolError                what the planner is told; has kind and retry
├─ BadInputError         an argument is wrong: it can be corrected (retry)
├─ NotFoundError         an id, file or series does not exist
├─ UnsupportedError      this image or target is outside what the tool can do
│  └─ SeriesChoiceError  several series where one is needed: a person chooses
├─ UnavailableError      weights, an extra, a device or a server is missing: says what to install
├─ CancelledError        a person stopped the step
└─ TimeLimitError        the step ran past its time limit

Any *other* exception is our bug: it stops the run with its traceback in the record and is never shown to the planner.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

ErrorKind = Literal["bad_input", "not_found", "unsupported", "unavailable", "cancelled", "time_limit"]


class ToolError(Exception):
    """Base of what a tool tells its caller: one line naming the parameter, what was expected, what came, what to do."""

    kind: ClassVar[ErrorKind] = "unsupported"
    retry: ClassVar[bool] = False


class BadInputError(ToolError):
    """An argument or file is wrong; another value could work."""

    kind = "bad_input"
    retry = True


class NotFoundError(ToolError):
    """An id, file or series does not exist."""

    kind = "not_found"


class UnsupportedError(ToolError):
    """The image, target or format is outside what the tool can do."""

    kind = "unsupported"


class SeriesChoiceError(UnsupportedError):
    """Several image series were found where one is needed.

    Attributes:
        choices: one line per series, in the order in which `#1`, `#2`, … select them.
        listing: all of them in one line, grouped by study where there are several.
    """

    def __init__(self, message: str, choices: Sequence[str], listing: str = "") -> None:
        super().__init__(message)
        self.choices = tuple(choices)
        self.listing = listing or "; ".join(choices)


class UnavailableError(ToolError):
    """Something that must be installed, started or fetched first is missing."""

    kind = "unavailable"


class CancelledError(ToolError):
    """A person stopped the step."""

    kind = "cancelled"


class TimeLimitError(ToolError):
    """The step ran past its time limit."""

    kind = "time_limit"
