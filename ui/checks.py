"""Runs the conformance kit over tools, each in a reading of its own that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.contract import Tool
    from tools.testing import CheckReport


def check_all(assistant: Assistant, tools: Sequence[Tool]) -> Iterator[CheckReport]:
    """Yield the kit's report on each tool."""
    from tools.testing import Lent, check_tool

    lent = Lent(hub=assistant.hub, open_knowledge=assistant.open_knowledge)
    for tool in tools:
        with tempfile.TemporaryDirectory(prefix="readingroom-check-") as folder:
            yield check_tool(tool, assistant.registry, lent, Path(folder))
