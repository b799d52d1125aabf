"""How a call is tried again: after how long, and without what."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_MAX_WAIT_S = 10.0  # an endpoint that asks for more is given up at once: a person waits for the answer
_DROPPABLE = (
    "temperature", "seed", "max_completion_tokens", "max_tokens", "logprobs", "stream_options", "stream",
)  # fmt: skip


def wait_s(error: Exception, attempt: int) -> float | None:
    """Return how long to wait: as the endpoint asks, else 0.5, 1, 2 s; None when it asks for more than we wait."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _seconds_until(asked) if asked else 0.5 * 2 ** (attempt - 1)
    return max(seconds, 0.0) if seconds <= _MAX_WAIT_S else None


def _seconds_until(http_date: str) -> float:
    try:
        return parsedate_to_datetime(http_date).timestamp() - time.time()
    except ValueError:
        return 0.5


def refused_parameter(error: Exception, parameters: Mapping[str, Any]) -> str:
    """Return which optional parameter an endpoint will not take, by its own words; "" when it is something else."""
    named = getattr(error, "param", None)
    candidates = [named] if named else [name for name in _DROPPABLE if f"'{name}'" in str(error)]
    return next((name for name in candidates if name in _DROPPABLE and name in parameters), "")
