"""A prior is looked for in the same person's readings only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.running import OWNER_FILE, _earlier_readings


def reading(root: Path, name: str, owner: str | None) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "record.jsonl").touch()
    if owner is not None:
        (folder / OWNER_FILE).write_text(owner)
    return folder


def run_in(folder: Path, *, switched_on: bool = True) -> Any:
    settings = SimpleNamespace(priors_from_readings=switched_on)
    return SimpleNamespace(settings=settings, workspace=SimpleNamespace(root=folder))


def test_only_the_owners_readings_are_looked_into(tmp_path: Path) -> None:
    mine, other = reading(tmp_path, "a", "ann"), reading(tmp_path, "b", "ann")
    reading(tmp_path, "c", "bob")
    nobodys, also = reading(tmp_path, "d", None), reading(tmp_path, "e", None)
    assert _earlier_readings(run_in(mine)) == [other]
    assert _earlier_readings(run_in(nobodys)) == [also]
    assert _earlier_readings(run_in(mine, switched_on=False)) == []
