"""The tool of benchmarks/orchestration.py that runs in a process of its own; a worker imports it from here."""

from __future__ import annotations

from tools.contract import ToolContext, tool
from tools.results import Measurements


@tool(isolated=True)
def isolated_work(ctx: ToolContext) -> Measurements:
    """Work in a process of its own, for no time at all."""
    return Measurements(summary="Worked.", rows=())
