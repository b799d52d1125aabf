"""A page's server in a process of its own: started by a module that prints its address, ended with the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


@contextmanager
def served(
    module: str, folder: Path, *args: object, env: Mapping[str, str] | None = None, dies: bool = False
) -> Iterator[str]:
    """Yield the address that a module serves at.

    Args:
        module: run by `python -m`; its first line on stdout is the address.
        folder: its first argument; the server's log and uploads lie there.
        args: its other arguments.
        env: settings beside those that keep a test off the network.
        dies: end it as a power cut would.
    """
    command = [sys.executable, "-m", module, str(folder), *map(str, args)]
    # no page of a test fetches anything, none reads the settings of the person who runs it
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    own |= {"READINGROOM_CONFIG_DIR": str(folder / "config"), **(env or {})}
    with (folder / "server.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | own
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "server.log").read_text(encoding="utf-8")
        yield address
    finally:
        if dies:
            process.kill()
        else:
            process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()
