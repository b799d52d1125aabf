"""Other libraries' errors and odd header values, shortened for a one-line message."""

from __future__ import annotations

import struct
from functools import cache

_BUILT_IN = (
    OSError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError, NotImplementedError, RuntimeError,
    OverflowError, MemoryError, struct.error,
)  # fmt: skip

LONGEST_REASON = 160
LONGEST_VALUE = 40


@cache
def parse_errors() -> tuple[type[Exception], ...]:
    """Return what pydicom and its decoders raise on a damaged file."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_BUILT_IN, BytesLengthException, InvalidDicomError)


def one_line(error: BaseException) -> str:
    """Return the beginning of an error's text on one line; its type where it has no text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


def quoted(value: str) -> str:
    """Return the beginning of a header value in quotes: a damaged file may hold the rest of its header in one value."""
    return repr(value) if len(value) <= LONGEST_VALUE else repr(value[: LONGEST_VALUE - 1] + "…")
