"""The command line in this process, over an assistant that the test writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fake_assistant import FakeAssistant


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Outcome]


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> RunCli:
    """Return a function that runs `readingroom` in a folder of its own; `assistant` replaces the real one."""
    from ui import assistants, cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, assistant: FakeAssistant | None = None) -> Outcome:
        if assistant is not None:
            monkeypatch.setattr(assistants, "open_assistant", lambda: assistant)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A file that the fake assistant takes for a CT; its content is never read."""
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(b"phantom")
    return path
