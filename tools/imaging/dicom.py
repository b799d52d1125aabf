"""DICOM files: telling them by content, opening them, saying what they are."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import BadInputError, NotFoundError, UnsupportedError
from tools.imaging.dicom_header import ACQUISITION_KEYWORDS, IDENTITY_KEYWORDS, text_of
from tools.imaging.reasons import one_line, parse_errors, quoted

if TYPE_CHECKING:
    from pydicom import Dataset

_NOT_IMAGES = {
    "SEG": "a segmentation", "SR": "a structured report", "PR": "a presentation state", "KO": "a key-object list",
    "RTSTRUCT": "a set of radiotherapy contours", "RTPLAN": "a radiotherapy plan", "RTDOSE": "a radiotherapy dose",
    "REG": "a registration", "ECG": "an electrocardiogram", "DOC": "an encapsulated document", "AU": "audio",
}  # fmt: skip


def is_dicom(path: Path) -> bool:
    """Say by content whether a file is DICOM: the DICM mark, or a plausible first element where the mark is missing."""
    with path.open("rb") as stream:
        start = stream.read(132)
    return start[128:132] == b"DICM" or is_bare_dicom(start)


def is_bare_dicom(start: bytes) -> bool:
    """Say whether bytes begin with a DICOM element of group 0002 or 0008, as files without preamble do."""
    if len(start) < 12 or start[:2] not in (b"\x02\x00", b"\x08\x00") or start[3] != 0:
        return False
    explicit = start[4:6] in (b"UL", b"UI", b"CS", b"DA", b"SH", b"OB")
    return explicit or struct.unpack("<I", start[4:8])[0] <= 64


def read_dataset(path: Path, *, pixels: bool) -> Dataset:
    """Open a DICOM file.

    Args:
        path: a file for which `is_dicom` holds.
        pixels: False leaves the pixel data on disk.

    Raises:
        BadInputError: the file is damaged.
    """
    import pydicom
    from pydicom import config
    from pydicom.uid import UID

    config.settings.reading_validation_mode = config.IGNORE  # odd values of old scanners are no reason to stop
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = UID(_plain_syntax(dataset))
        for keyword in (*IDENTITY_KEYWORDS, *ACQUISITION_KEYWORDS, "DerivationDescription"):
            text_of(dataset, keyword)
    except BadInputError as error:
        raise BadInputError(f"{path.name!r}: {error}") from error
    except parse_errors() as error:
        raise BadInputError(f"{path.name!r} is a damaged DICOM file ({one_line(error)}): send it again") from error
    return dataset


def require_image(dataset: Dataset, name: str) -> None:
    """Refuse DICOM objects that are no image, saying what they are.

    Args:
        dataset: header, with or without pixels.
        name: file name for the message.
    """
    reason = not_an_image(dataset)
    if reason:
        raise UnsupportedError(f"{name!r} is DICOM but {reason}, not an image: attach the image it belongs to")


def not_an_image(dataset: Dataset) -> str:
    """Return what a dataset is when it is no image ("a segmentation"); "" for images."""
    from pydicom.uid import UID

    meta = getattr(dataset, "file_meta", {})
    sop_class = text_of(dataset, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID", ""))
    if sop_class == "1.2.840.10008.1.3.10":
        return "an index of files (DICOMDIR; attach its folder instead)"
    modality = text_of(dataset, "Modality")
    if modality in _NOT_IMAGES:
        return _NOT_IMAGES[modality]
    if "Rows" in dataset and "Columns" in dataset:
        return ""
    known = UID(sop_class).name
    if known == sop_class:
        return "an object without pixels"
    return f"{known} without pixels" if "Image" in known else known


def frame_count(dataset: Dataset, name: str) -> int:
    """Return NumberOfFrames, 1 where absent.

    Raises:
        BadInputError: it is no positive whole number.
    """
    text = text_of(dataset, "NumberOfFrames") or "1"
    if not text.isdigit() or int(text) < 1:
        raise BadInputError(f"{name!r}: NumberOfFrames must be a positive whole number, got {quoted(text)}")
    return int(text)


def _plain_syntax(dataset: Any) -> str:
    """Return the uncompressed transfer syntax that a file without meta header was parsed as."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _opens_as_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except OSError as error:
        raise BadInputError(
            f"{path.name!r} cannot be read ({error.strerror or error}): check its permissions"
        ) from error


def find_dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files under a folder, in the order of their names; hidden files and DICOMDIR are passed over.

    Raises:
        BadInputError: a file is named .dcm but is something else.
        NotFoundError: there is none.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != "DICOMDIR" and not path.name.startswith(".") and "__MACOSX" not in path.parts
    )
    found = []
    for path in files:
        if _opens_as_dicom(path):
            found.append(path)
        elif path.suffix.lower() in (".dcm", ".dicom"):
            raise BadInputError(
                f"{path.name!r} in {folder.name!r} is named .dcm but is not DICOM: remove it or send it again"
            )
    if not found:
        what = f"{len(files)} files, none of them DICOM" if files else "no files"
        raise NotFoundError(
            f"folder {folder.name!r} holds {what}: attach a folder with a DICOM series, or one image file"
        )
    return found
