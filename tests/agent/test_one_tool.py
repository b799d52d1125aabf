"""One tool without a plan: its refusal reaches the caller in the tool's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.assistant import Assistant
from agent.settings import Settings
from tools.errors import NotFoundError, TimeLimitError


def test_a_result_that_is_not_there_is_named(tmp_path: Path) -> None:
    assistant = Assistant(settings=Settings(readings_dir=tmp_path / "readings", data_dir=tmp_path / "data"))
    with pytest.raises(NotFoundError, match=r"export: it refers to s99, which nothing makes"):
        assistant.run_tool("export", {"artifacts": ["@s99"], "format": "json"})


def test_a_tool_that_runs_too_long_says_so(make_assistant: Callable[..., Assistant]) -> None:
    with pytest.raises(TimeLimitError, match=r"hang ran past its limit of 0\.3 s"):
        make_assistant().run_tool("hang", {})
