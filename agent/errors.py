"""Errors of a run: what the caller of the assistant is told.

RunError                 one line for the person; exit code 1
├─ ConfigError           a setting is wrong or missing: parameter, expected, got, what to do (exit code 2)
├─ AttachmentError       a file that a person brought cannot be used (exit code 2)
├─ ReadingError          no such reading, or it cannot be resumed
├─ LimitError            a budget is used up; carries limit and used
├─ ModelBehaviorError    the LLM answered with something unusable, also after the repair round
└─ LLMUnavailableError   the LLM cannot be reached, refuses the key, or its weights are missing

Tool errors have their own tree (tools/errors.py). Anything else is our bug: it stops the run, and its traceback goes
into the record.
"""

from collections.abc import Sequence


class RunError(Exception):
    """Base of what the caller is told, in one line."""


class ConfigError(RunError):
    """A setting is wrong or missing."""


class AttachmentError(RunError):
    """A file that a person brought cannot be used; says why and what to do.

    Attributes:
        choices: where one of several series must be chosen: one line each, selected by their number from 1.
    """

    def __init__(self, message: str, *, choices: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.choices = tuple(choices)


class ReadingError(RunError):
    """No such reading, or it is not in a state that allows what was asked."""


class LimitError(RunError):
    """A budget is used up.

    Attributes:
        limit: the allowed amount.
        used: the amount asked for or spent.
    """

    def __init__(self, message: str, *, limit: float, used: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.used = used


class ModelBehaviorError(RunError):
    """The LLM answered with something unusable."""


class LLMUnavailableError(RunError):
    """The LLM cannot be reached, refuses the key, or its weights are missing."""
