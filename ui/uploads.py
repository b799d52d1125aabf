"""Turns what a browser uploads into attachments: DICOM files that come together are one folder of series."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.errors import ToolError
from ui.access.uploads import MB

if TYPE_CHECKING:
    from tools.imaging.series import SeriesInfo
    from tools.workspace import Workspace

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
    number: int = 0
    """By which its images are called until they are attached; no other thing of the page gets it.

    0: it cannot be attached."""

    @property
    def must_choose(self) -> bool:
        """Whether there are several series, so that the person says which to attach."""
        return len(self.series) > 1


class Amount(NamedTuple):
    """How much there is of files."""

    files: int = 0
    size: int = 0
    """In bytes."""

    def plus(self, other: Amount) -> Amount:
        """Return both together."""
        return Amount(self.files + other.files, self.size + other.size)


NOTHING = Amount()


def amount_of(paths: Iterable[Path]) -> Amount:
    """Return how much files, and everything in folders, are."""
    found = [file for path in paths for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file()]
    return Amount(len(found), sum(file.stat().st_size for file in found))


def held_by(workspace: Workspace) -> Amount:
    """Return how much a reading holds of what a person brought."""
    return amount_of(workspace.attachment_path(a.id) for a in workspace.attachments())


@dataclass(frozen=True)
class ReadingLimits:
    """What one reading may hold of what people bring."""

    max_files: int
    max_mb: int

    def problem(self, amount: Amount) -> str:
        """Return why a reading may not hold so much; empty where it may."""
        if amount.files > self.max_files:
            return (
                f"{amount.files:,} files, more than the {self.max_files:,} that one reading may hold here "
                "(READINGROOM_MAX_UPLOAD_FILES): choose one series, or zip it"
            )
        if amount.size > self.max_mb * MB:
            return (
                f"{amount.size / MB:,.0f} MB with what the reading holds already, more than the {self.max_mb:,} MB "
                "that one may hold here (READINGROOM_MAX_UPLOAD_MB): begin a new reading, or bring one series only"
            )
        return ""


def bring(paths: Sequence[Path], limits: ReadingLimits, held: Amount = NOTHING) -> list[Brought]:
    """Group uploaded files and look at each: what it is called, which series it holds, why it can't be read.

    Args:
        paths: the files; one at least.
        limits: what is above them is refused together; none of it is opened.
        held: what the reading has besides.
    """
    counted = Amount(len(paths) + held.files)
    if problem := limits.problem(counted) or limits.problem(held.plus(amount_of(paths))):
        name = f"{len(paths):,} files" if len(paths) > 1 else paths[0].name
        return [Brought(paths[0], name, problem=problem)]
    dicom = [p for p in paths if _is_dicom(p)]
    items = [(p, p.name) for p in paths if p not in dicom]
    if len(dicom) == 1:
        items.append((dicom[0], dicom[0].name))
    elif dicom:
        folder = _together(dicom, f"{len(dicom)} DICOM files")
        items.append((folder, folder.name))
    return [look(path, name) for path, name in items]


def uploaded(path: str) -> Path | None:
    """Return a file that was uploaded; None for any other path of this machine."""
    from gradio.utils import get_upload_folder

    found = Path(path).resolve()
    inside = found.is_relative_to(Path(get_upload_folder()).resolve())
    return found if inside and found.is_file() else None


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
