"""A run that is killed or stopped goes on by `--resume ID`: the real command on the real CT."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.samples, pytest.mark.llm]

COMMAND = [sys.executable, "-c", "from ui.cli import main; main()"]
REQUEST = "Segment the lungs and measure their volume."


@pytest.fixture
def environment(sample, assets, tmp_path) -> dict[str, str]:
    """The test's own readings beside the real cache of samples and weights."""
    sample("smollm2", "model.gguf")
    sample("minilm", "model.onnx")
    return os.environ | {
        "READINGROOM_READINGS_DIR": str(tmp_path / "readings"),
        "READINGROOM_DATA_DIR": str(tmp_path / "data"),
        "READINGROOM_CACHE_DIR": str(assets._cache_dir),
    }


def _started(environment: dict[str, str], ct: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a run, wait until its first step has begun, and return it with the reading's id."""
    command = [*COMMAND, "ask", REQUEST, "-i", str(ct)]
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    reading = ""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.match(r"reading (\S+)", line):
            reading = found.group(1)
        if line.startswith("plan by"):
            break
    assert reading
    deadline = time.monotonic() + 60
    while not _entries(folder, reading, "step started"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process, reading


def _entries(folder: Path, reading: str, event: str) -> list[dict[str, object]]:
    lines = (folder / "readings" / reading / "record.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def test_a_killed_run_is_resumed_without_planning_again(environment, sample, tmp_path):
    process, reading = _started(environment, sample("chest-ct", "cxr.nii.gz"), tmp_path)
    process.kill()
    process.communicate()
    assert _entries(tmp_path, reading, "answer") == []
    done = subprocess.run(
        [*COMMAND, "ask", "--resume", reading, "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["reading"], answer["outcome"]) == (reading, "answered")
    assert [a["kind"] for a in answer["artifacts"]] == ["mask", "measurements"]
    assert len(_entries(tmp_path, reading, "plan")) == 1


def test_ctrl_c_ends_with_the_command_that_goes_on(environment, sample, tmp_path):
    process, reading = _started(environment, sample("chest-ct", "cxr.nii.gz"), tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"readingroom ask --resume {reading}" in err
    assert "Traceback" not in err
