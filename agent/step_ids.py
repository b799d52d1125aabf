"""Chooses the ids of steps: the one place that does.

Ids are never used twice in a reading, so that evidence stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tools.workspace import writing

if TYPE_CHECKING:
    from agent.record import RunRecord
    from tools.workspace import Workspace


def next_number(workspace: Workspace, ids: Iterable[str] = ()) -> int:
    """Return the first step number that neither a folder of a reading nor any of `ids` has, nor one after it.

    A folder without a result counts: a step beside the plan may be at work in it.
    """
    made = (p.name for p in (workspace.root / "artifacts").glob("s*") if p.name[1:].isdigit())
    return max((int(i[1:]) for i in (*made, *ids)), default=0) + 1


def reserve_step(workspace: Workspace, record: RunRecord) -> str:
    """Return the next id that no result, no run and no planned step of a reading has.

    Making its folder takes it, whoever else asks at the same time; whoever reserves removes the folder where nothing
    comes of it.
    """
    folder = workspace.root / "artifacts"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = next_number(workspace, _planned(record))
        while True:
            try:
                (folder / f"s{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return f"s{number}"


def _planned(record: RunRecord) -> list[str]:
    """Return the ids of the steps that were ever planned: a plan that waits keeps its own."""
    return [
        str(step["id"])
        for line in record.lines()
        if line["event"] == "plan" and line["outcome"]["outcome"] == "plan"
        for step in line["outcome"]["steps"]
    ]
