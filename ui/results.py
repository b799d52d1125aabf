"""Copies what a reading made into a folder of the person's choice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tools.workspace import write_atomically, writing
from ui.failures import MisuseError
from ui.render import files_of

if TYPE_CHECKING:
    from agent.answer import Answer


def must_be_free(folder: Path) -> None:
    """Refuse a folder that holds something, so that nothing of the person's is overwritten.

    Raises:
        MisuseError: it is a file, or not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise MisuseError(f"--out {folder} must be a new or empty folder; it holds files")
    if folder.exists() and not folder.is_dir():
        raise MisuseError(f"--out {folder} must be a folder; it is a file")


def copy_results(answer: Answer, folder: Path) -> list[Path]:
    """Copy the files, the run record and the answer as JSON; files of the same name get their step before it.

    Raises:
        UnavailableError: the disk is full, or the folder can't be written.
    """
    files = files_of(answer)
    names = [f.path.name for f in files]
    copied = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            name = file.path.name if names.count(file.path.name) == 1 else f"{file.step}-{file.path.name}"
            copied.append(folder / name)
            shutil.copyfile(file.path, folder / name)
        record = Path(answer.folder) / "record.jsonl"
        if record.is_file():
            copied.append(folder / record.name)
            shutil.copyfile(record, folder / record.name)
    write_atomically(folder / "answer.json", answer.model_dump_json(indent=1) + "\n")
    return [*copied, folder / "answer.json"]
