"""Servers in processes of their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[4]


@contextmanager
def running(commands: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Start a server a command; give the addresses that they print, and stop them at the end."""
    pairs = {name: started(*command) for name, command in commands.items()}
    yield {name: url for name, (_process, url) in pairs.items()}
    for process, _url in pairs.values():
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def started(*command: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server and return it with the address that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://[\d.:]+/\w*", said.replace("\n", "")):
            return process, found.group()
    raise AssertionError(f"the server did not start: {said}")
