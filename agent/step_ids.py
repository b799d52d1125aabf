"""Chooses the id of a step that runs beside any plan: the one place that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.workspace import writing

if TYPE_CHECKING:
    from agent.record import RunRecord
    from tools.workspace import Workspace


def reserve_step(workspace: Workspace, record: RunRecord) -> str:
    """Return the next id that no result, no run and no planned step of a reading has.

    Making its folder takes it, whoever else asks at the same time; whoever reserves removes the folder where nothing
    comes of it.
    """
    folder = workspace.root / "artifacts"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        made = [int(p.name[1:]) for p in folder.glob("s*") if p.name[1:].isdigit()]
        number = max([0, *made, *_planned(record)]) + 1
        while True:
            try:
                (folder / f"s{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return f"s{number}"


def _planned(record: RunRecord) -> list[int]:
    """Return the numbers of the steps that were ever planned: a plan that waits keeps its own."""
    return [
        int(step["id"][1:])
        for line in record.lines()
        if line["event"] == "plan" and line["outcome"]["outcome"] == "plan"
        for step in line["outcome"]["steps"]
    ]
