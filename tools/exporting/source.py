"""The DICOM images that a segmentation or structured report refers to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.workspace import Workspace, writing

if TYPE_CHECKING:
    from pydicom import Dataset

_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "Manufacturer",
)  # fmt: skip
"""Attributes that DICOM wants to be there and allows to be empty (type 2); scanners leave them out."""

SERIES_FOLDER = "{image}-dicom"


@dataclass(frozen=True)
class Source:
    """Headers of the images that results are said of."""

    image: str
    headers: tuple[Dataset, ...]
    """One a slice in slice order, or one for a multi-frame image; without pixels."""
    frames: tuple[int, ...]
    """Where slice k lies: index into `headers`, or frame number (from 0) of a multi-frame image."""
    files: tuple[str, ...] = ()
    """What was written for it into the step's folder: an image that came without DICOM is written as a series."""
    notes: tuple[str, ...] = ()

    @property
    def multi_frame(self) -> bool:
        """Whether one file holds all slices."""
        return len(self.headers) == 1 and len(self.frames) > 1


def source_of(workspace: Workspace, image: str, folder: Path) -> Source:
    """Return the DICOM source of an image; one that came without DICOM is written as a new series beside the export.

    Args:
        workspace: of the reading.
        image: id of an attachment, or of an image that a step made.
        folder: the exporting step's.

    Raises:
        UnsupportedError: the image cannot be a DICOM series; says why.
    """
    headers, frames = workspace.dicom_headers(image)
    if headers:
        return Source(image, tuple(_completed(header) for header in headers), frames)
    from tools.imaging.dicom_write import write_series

    volume = workspace.volume(image)
    synthetic = "synthetic" in workspace.marks_of(image)
    made = " (SYNTHETIC)" if synthetic else ""
    name = SERIES_FOLDER.format(image=image)
    series = folder / name
    shutil.rmtree(series, ignore_errors=True)  # of an attempt of this step that failed or was killed
    with writing(series):
        series.mkdir()
        said = f"{image} from a file without DICOM{made}"
        written, exact = write_series(volume, series, description=said, synthetic=synthetic)
    notes = [
        f"{image} came without DICOM: it was written as a new series without patient data ({name}), to which the "
        "export refers; set patient and study before it goes to an archive."
    ]
    if not exact:
        notes.append(f"The voxel values of {image} were rounded to 16 bits in that series.")
    return Source(image, written, tuple(range(len(written))), files=(name,), notes=tuple(notes))


def _completed(header: Dataset) -> Dataset:
    """Return a header in which what may be empty is there, so that a result of it is valid DICOM."""
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    return header
