"""The audit log: append-only, and whoever touches it is noticed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tools.audit import GENESIS, AuditLog
from ui.cli import main


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    log = AuditLog(tmp_path / "data" / "audit.jsonl")
    for number in range(5):
        log.append(to="https://llm.example/v1", policy="remote-deidentified", characters=number, images=0, replaced={})
    return log


def lines(log: AuditLog) -> list[str]:
    return log.path.read_text(encoding="utf-8").splitlines()


def rewrite(log: AuditLog, kept: list[str]) -> None:
    log.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def test_an_untouched_log_verifies_and_is_its_owners_alone(log: AuditLog) -> None:
    found = log.verify()
    assert (found.entries, found.broken) == (5, None)
    assert [e["entry"] for e in log.entries()] == [1, 2, 3, 4, 5]
    assert next(log.entries())["previous"] == GENESIS
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    assert AuditLog(tmp_path / "audit.jsonl").verify().broken is None


@pytest.mark.parametrize(
    ("touch", "line", "reason"),
    [
        (lambda kept: [*kept[:2], kept[2].replace('"characters": 2', '"characters": 9'), *kept[3:]], 3, "was changed"),
        (lambda kept: [*kept[:1], *kept[2:]], 2, "removed, inserted or reordered"),
        (lambda kept: [kept[1], kept[0], *kept[2:]], 1, "removed, inserted or reordered"),
        (lambda kept: [*kept, kept[-1]], 6, "removed, inserted or reordered"),
        (lambda kept: kept[:4], 5, "entries at the end are missing"),
        (lambda kept: [], 1, "entries at the end are missing"),
        (lambda kept: [*kept[:4], kept[4][:20]], 5, "cut off or overwritten"),
        (lambda kept: [*kept[:2], "not json", *kept[3:]], 3, "cut off or overwritten"),
        (lambda kept: ["[]", *kept[1:]], 1, "cut off or overwritten"),
    ],
)
def test_whatever_is_touched_breaks_the_chain(log: AuditLog, touch, line: int, reason: str) -> None:
    rewrite(log, touch(lines(log)))
    broken = log.verify().broken
    assert broken is not None
    assert broken.line == line
    assert reason in broken.reason


def test_a_forged_hash_does_not_help(log: AuditLog) -> None:
    kept = lines(log)
    entry = json.loads(kept[4])
    entry["to"] = "https://elsewhere.example"
    rewrite(log, [*kept[:4], json.dumps(entry)])
    assert log.verify().broken is not None


def test_two_processes_append_without_losing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from tools.audit import AuditLog
        log = AuditLog(Path({str(path)!r}))
        for number in range(25):
            log.append(to="x", number=number)
        """
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    found = AuditLog(path).verify()
    assert (found.entries, found.broken) == (50, None)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_command_says_whether_the_log_was_touched(monkeypatch, log: AuditLog, capsys) -> None:
    monkeypatch.setenv("READINGROOM_DATA_DIR", str(log.path.parent))
    assert run("audit", "verify") == 0
    assert "5 entries, unbroken" in capsys.readouterr().out
    assert run("audit", "show") == 0
    assert "https://llm.example/v1" in capsys.readouterr().out
    rewrite(log, lines(log)[1:])
    assert run("audit", "verify", "--json") == 1
    assert json.loads(capsys.readouterr().out)["broken"]["line"] == 1
