"""A tool that goes on until it is stopped."""

from __future__ import annotations

import threading
import time

from tools.contract import ToolContext, tool
from tools.errors import CancelledError
from tools.results import Measurements

ended = threading.Event()


@tool()
def slow(ctx: ToolContext) -> Measurements:
    """Work for half a minute."""
    try:
        for tick in range(300):
            ctx.progress(tick / 300, "working")
            time.sleep(0.1)
    except CancelledError:
        ended.set()
        raise
    return Measurements(summary="Worked.", rows=())
