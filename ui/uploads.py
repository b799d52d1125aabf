"""Turns what a browser uploads into attachments: DICOM files that come together are one folder of series."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import ToolError

if TYPE_CHECKING:
    from tools.imaging.series import SeriesInfo

_DICOM_MARK = slice(128, 132)  # PS3.10, section 7.1: "DICM" after a preamble of 128 bytes


@dataclass(frozen=True)
class Brought:
    """One thing to attach."""

    path: Path
    name: str
    """For the person; DICOM files that came together have a name of their own."""
    series: tuple[SeriesInfo, ...] = ()
    """What DICOM files hold, in the order of their numbers; of several some are chosen. Empty outside DICOM."""
    problem: str = ""
    """Why it can't be read; empty when it can."""

    @property
    def must_choose(self) -> bool:
        """Whether there are several series, so that the person says which to attach."""
        return len(self.series) > 1


def bring(paths: Sequence[Path], max_files: int) -> list[Brought]:
    """Group uploaded files and look at each: what it is called, which series it holds, why it can't be read.

    Args:
        paths: the files.
        max_files: more are refused together; none of them is opened.
    """
    if problem := too_many(len(paths), max_files):
        return [Brought(paths[0], f"{len(paths):,} files", problem=problem)]
    dicom = [p for p in paths if _is_dicom(p)]
    items = [(p, p.name) for p in paths if p not in dicom]
    if len(dicom) == 1:
        items.append((dicom[0], dicom[0].name))
    elif dicom:
        folder = _together(dicom, f"{len(dicom)} DICOM files")
        items.append((folder, folder.name))
    return [look(path, name) for path, name in items]


def too_many(count: int, max_files: int) -> str:
    """Return why so many files are not taken; empty where they are."""
    if count <= max_files:
        return ""
    return (
        f"{count:,} files, more than the {max_files:,} that are taken here (READINGROOM_MAX_UPLOAD_FILES): choose one "
        "series, or zip it"
    )


def look(path: Path, name: str) -> Brought:
    """Look at one file or folder."""
    from tools.imaging.read import list_series

    if path.suffix.lower() in (".txt", ".md"):
        return Brought(path, name)
    try:
        series = list_series(path)
    except ToolError as error:
        return Brought(path, name, problem=str(error))
    return Brought(path, name, tuple(s for s in series if s.uid))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[_DICOM_MARK] == b"DICM"


def _together(paths: Sequence[Path], name: str) -> Path:
    """Copy files into one folder beside the first; each gets a number, for names may clash."""
    folder = Path(tempfile.mkdtemp(prefix="dicom-", dir=paths[0].parent.parent)) / name
    folder.mkdir()
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / f"{number:05d}-{path.name}")
    return folder
