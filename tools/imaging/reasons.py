"""Other libraries' errors, shortened for a one-line message."""

from __future__ import annotations

LONGEST = 160


def one_line(error: BaseException) -> str:
    """Return the beginning of an error's text on one line; its type where it has no text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
