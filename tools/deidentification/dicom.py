"""A DICOM image as clean files: new headers, decoded pixels, new names, nothing else of the old files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deidentification.burned_in import black_out, clear_text, clear_volume, find_text
from tools.deidentification.header import Dates, HeaderCleaner, Removed
from tools.deidentification.pseudonyms import Pseudonyms
from tools.imaging.volume import AnyArray, BoolArray

if TYPE_CHECKING:
    from pydicom import Dataset

    from tools.imaging.series import DicomFile

_CODES = {
    "profile": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "face": ("113102", "Clean Recognizable Visual Features Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
}
_METHOD = "Reading Room: PS3.15 E.1 2026c, text by list of terms"
_PALETTE = ("Red", "Green", "Blue")
_MANY_FRAMES = 40  # of a cine from which a sample stands for all: what is burned in stands still


@dataclass(frozen=True)
class Wishes:
    """What is to be done besides the header."""

    dates: Dates
    find_text: bool
    face: BoolArray | None = None
    """Voxels (i, j, k) to remove, in the volume's slice order; None: none."""


@dataclass
class Outcome:
    """What was done to the pixels."""

    boxes: int = 0
    markers: int = 0
    looked_at: int = 0
    frames: int = 0
    text_left: bool = False
    notes: list[str] = field(default_factory=list)


def write_clean(
    files: Sequence[DicomFile],
    places: Sequence[tuple[int, int]],
    folder: Path,
    wishes: Wishes,
    pseudonyms: Pseudonyms,
    progress: Callable[[float], None],
) -> tuple[Removed, Outcome]:
    """Write clean copies of an image's files.

    Args:
        files: of one series, in any order.
        places: for each slice of the volume, (index into `files`, frame from 0).
        folder: an empty folder that is there.
        wishes: what is to be done.
        pseudonyms: what stands for uids and patients.
        progress: called with the share that is done.

    Raises:
        BadInputError, UnsupportedError, UnavailableError: pixels that cannot be decoded.
    """
    frames = _decoded(files, places)
    fill = float(min(frame.min() for frame in frames)) if frames[0].ndim == 2 else 0.0
    outcome = Outcome(frames=len(frames))
    if wishes.find_text:
        _clear(frames, fill, outcome, progress)
    if wishes.face is not None:
        for k, frame in enumerate(frames):
            frame[wishes.face[:, :, k].T] = fill
    removed = Removed()
    cleaner = HeaderCleaner(pseudonyms, wishes.dates, removed)
    for index, number in enumerate(sorted({file for file, _ in places}, key=[f for f, _ in places].index), 1):
        own = sorted((frame, k) for k, (file, frame) in enumerate(places) if file == number)
        _write_file(files[number], [frames[k] for _, k in own], folder / f"IM{index:05d}.dcm", cleaner, wishes, outcome)
        progress(0.7 + 0.3 * index / len(files))
    return removed, outcome


def _decoded(files: Sequence[DicomFile], places: Sequence[tuple[int, int]]) -> list[AnyArray]:
    from tools.imaging.decode import Frame, stored_frames
    from tools.imaging.dicom_header import syntax_of

    wanted = [Frame(files[file].path, frame) for file, frame in places]
    syntaxes = {syntax_of(files[file].dataset) for file, _ in places}
    return [np.array(frame) for frame in stored_frames(wanted, syntaxes)]


def _clear(frames: Sequence[AnyArray], fill: float, outcome: Outcome, progress: Callable[[float], None]) -> None:
    """Black out text; larger is brighter in every frame here, so the lowest value is black."""
    if len(frames) == 1:
        outcome.boxes, outcome.markers, is_clean = clear_text(frames[0], fill)
        outcome.looked_at = 1
    elif len(frames) > _MANY_FRAMES and frames[0].ndim == 3:
        is_clean = _clear_cine(frames, fill, outcome)
    else:
        outcome.boxes, outcome.looked_at, is_clean = clear_volume(frames, fill, lambda done: progress(0.7 * done))
    outcome.text_left = not is_clean


def _clear_cine(frames: Sequence[AnyArray], fill: float, outcome: Outcome) -> bool:
    """Black out in every frame what a sample of them shows."""
    sample = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, 5)]
    boxes = [box for frame in sample for box in find_text(frame).boxes]
    black_out(frames, boxes, fill)
    outcome.boxes, outcome.looked_at = len(boxes), len(sample)
    return not any(find_text(frame).boxes for frame in sample)


def _write_file(
    file: DicomFile, frames: Sequence[AnyArray], path: Path, cleaner: HeaderCleaner, wishes: Wishes, outcome: Outcome
) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    from tools.imaging.dicom import read_dataset

    dataset = read_dataset(file.path, pixels=False)
    _set_pixels(dataset, frames)
    cleaner.clean(dataset)
    _say_what_was_done(dataset, wishes, outcome)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)


def _set_pixels(dataset: Dataset, frames: Sequence[AnyArray]) -> None:
    """Store frames uncompressed, as they were stored before they were decoded."""
    from tools.imaging.pixels import is_inverted

    stack = np.stack(frames)
    if stack.ndim == 4:
        dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        for colour in _PALETTE:
            for part in ("Descriptor", "Data"):
                dataset.pop(f"{colour}PaletteColorLookupTable{part}", None)
    else:
        if dataset.get("ModalityLUTSequence"):  # its values are in the pixels now
            del dataset.ModalityLUTSequence
            dataset.BitsStored, dataset.HighBit = stack.dtype.itemsize * 8, stack.dtype.itemsize * 8 - 1
        if is_inverted(dataset):
            stack = -1 - stack if stack.dtype.kind == "i" else ((1 << int(dataset.BitsStored)) - 1) - stack
        dataset.BitsAllocated = stack.dtype.itemsize * 8
        dataset.PixelRepresentation = int(stack.dtype.kind == "i")
    data = np.ascontiguousarray(stack.astype(stack.dtype.newbyteorder("<"))).tobytes()
    dataset.add_new(0x7FE00010, "OW" if dataset.BitsAllocated == 16 else "OB", data + b"\0" * (len(data) % 2))


def _say_what_was_done(dataset: Dataset, wishes: Wishes, outcome: Outcome) -> None:
    """Write what PS3.15 wants to be said of a clean file."""
    done = ["profile", "descriptors"]
    if wishes.find_text:
        done.append("pixels")
        dataset.BurnedInAnnotation = "YES" if outcome.text_left else "NO"
    if wishes.face is not None:
        done.append("face")
        dataset.RecognizableVisualFeatures = "NO"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if wishes.dates == "shift" else "REMOVED"
    if wishes.dates == "shift":
        done.append("dates")
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = _METHOD
    dataset.DeidentificationMethodCodeSequence = [_code(*_CODES[name]) for name in done]


def _code(value: str, meaning: str) -> Any:
    from pydicom import Dataset as Item

    item = Item()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
