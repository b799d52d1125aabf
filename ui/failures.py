"""What went wrong, in one line with an exit code; the traceback of a bug goes into a file.

0 done · 1 failed · 2 misuse: something in the call must change or be added.
"""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from agent.errors import AttachmentError, ConfigError, RunError
from knowledge.errors import BadInputError as BadKnowledgeError
from knowledge.errors import KnowledgeError
from tools.errors import BadInputError, SeriesChoiceError, ToolError

DONE, FAILED, MISUSE = 0, 1, 2
STOPPED = 130  # as a shell reports a program that Ctrl-C ended


class MisuseError(Exception):
    """The call itself is wrong or incomplete: names what, and what to do."""


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line for a person and the exit code."""
    if isinstance(error, MisuseError | ConfigError | AttachmentError | BadInputError | BadKnowledgeError):
        return _one_line(error), MISUSE
    if isinstance(error, SeriesChoiceError):
        return _one_line(error), MISUSE
    if isinstance(error, RunError | ToolError | KnowledgeError):
        return _one_line(error), FAILED
    if isinstance(error, OSError):
        what = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{what}", FAILED
    path = keep_traceback(error)
    return f"stopped by an unexpected {type(error).__name__}; the traceback is in {path}", FAILED


def keep_traceback(error: BaseException) -> Path:
    """Write a traceback into a file of the temporary folder and return its path."""
    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="readingroom-traceback-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return Path(file.name)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
