"""The same pause, restart and separation over every checkpointer, PostgreSQL a real server on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.answer import Answer
from agent.attach import Attach
from agent.errors import ConfigError
from agent.plan import Clarify, Plan, Step
from agent.settings import Settings

DELICATE = Plan(steps=(Step(id="s1", tool="delicate", args={}),))


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, newest first; Debian keeps them off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = shutil.which("initdb") or (str(folders[0]) if folders else None)
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on loopback; it refuses to run as root, so root becomes postgres."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's server is not installed; apt-get install postgresql")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="readingroom-pg-"))
    if as_user:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def call(program: str, *args: str) -> None:
        subprocess.run([*as_user, str(where / program), *args], check=True, capture_output=True, cwd="/")

    call("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    subprocess.run(
        [*as_user, str(where / "pg_ctl"), "-D", str(data), "-o", options, "-w", "-l", str(folder / "log"), "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def setting(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres") if request.param == "postgres" else request.param


def test_a_paused_plan_goes_on_after_approval(make_assistant, box, setting) -> None:
    assistant = make_assistant(DELICATE, checkpoints=setting)
    waiting = assistant.ask("do it")
    assert (waiting.outcome, box.runs) == ("waiting", [])
    assert assistant.resume(waiting.reading).text == "Volume of the phantom: 7.0 ml. [s1]"


def test_threads_do_not_meet(make_assistant, setting) -> None:
    assistant = make_assistant(DELICATE, Clarify(question="Which?"), checkpoints=setting)
    one, two = assistant.ask("canary-one"), assistant.ask("canary-two")
    assert assistant.resume(one.reading).request == "canary-one"
    assert two.outcome == "clarify"
    folder = assistant.workspace(two.reading).root
    assert not any(b"canary-one" in p.read_bytes() for p in folder.rglob("*") if p.is_file())


@pytest.mark.server
def test_postgres_keeps_a_pause_over_a_restart(make_assistant, box, postgres) -> None:
    waiting = make_assistant(DELICATE, checkpoints=postgres).ask("do it")
    assert make_assistant(checkpoints=postgres).resume(waiting.reading).outcome == "answered"
    assert box.runs == ["s1"]


def test_a_server_that_does_not_answer_is_one_line(make_assistant) -> None:
    assistant = make_assistant(DELICATE, checkpoints="postgresql://u:SECRET@127.0.0.1:9/none")
    with pytest.raises(ConfigError, match="the PostgreSQL server does not answer") as caught:
        assistant.ask("do it")
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_checkpointer_is_refused_and_a_password_not_shown() -> None:
    with pytest.raises(ValueError, match="must be 'sqlite', 'memory' or"):
        Settings(checkpoints="redis://x")
    assert "KEY" not in repr(Settings(checkpoints="postgresql://u:KEY@host/db"))


def test_readings_at_once_with_disjoint_canaries_never_meet(make_assistant, box, setting, tmp_path) -> None:
    """Eight people at once, one assistant: what one asks and attaches is in no file and no state of another."""
    canaries = [f"canary{n:02d}x{secrets.token_hex(8)}" for n in range(8)]
    plans = [Plan(steps=(Step(id="s1", tool="wait", args={"seconds": 0.2}),))] * 16  # renumbered for follow-ups
    assistant = make_assistant(*plans, checkpoints=setting)
    answers: dict[str, list[Answer]] = {}

    def read(canary: str) -> None:
        note = tmp_path / f"{canary}.txt"
        note.write_text(f"FINDINGS: {canary}. The lungs are clear.")
        first = assistant.ask(f"wait for {canary}", [Attach(note, kind="report")])
        answers[canary] = [first, assistant.ask(f"again for {canary}", reading=first.reading)]

    threads = [threading.Thread(target=read, args=(c,)) for c in canaries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({a.reading for both in answers.values() for a in both}) == 8
    for canary, both in answers.items():
        assert all(a.outcome == "answered" and canary in a.request for a in both)
        held = _everything(assistant, both[0].reading)
        assert canary.encode() in held
        assert not [other for other in canaries if other != canary and other.encode() in held]


def _everything(assistant, reading: str) -> bytes:
    """Every byte of a reading: its files, and what the checkpointer keeps of its thread."""
    folder = assistant.workspace(reading).root
    files = b"".join(p.read_bytes() + p.name.encode() for p in folder.rglob("*") if p.is_file())
    with assistant._checkpoints.open(folder) as saver:
        states = repr(list(saver.list({"configurable": {"thread_id": reading}}))).encode()
    return files + states
