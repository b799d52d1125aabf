"""DICOM files: telling them by content, opening them, saying what they are, decoding their pixels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.imaging.dicom_header import ACQUISITION_KEYWORDS, IDENTITY_KEYWORDS, numbers, text_of
from tools.imaging.reasons import one_line, parse_errors, quoted
from tools.imaging.volume import AnyArray

if TYPE_CHECKING:
    from pydicom import Dataset

_KEEPS_VALUES = ("CT", "PT", "NM")  # their values are physical (HU, Bq/ml, counts): MONOCHROME1 only says how to show

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
        for keyword in (*IDENTITY_KEYWORDS, *ACQUISITION_KEYWORDS):
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
    return known if known != sop_class else "an object without pixels"


def frame_count(dataset: Dataset, name: str) -> int:
    """Return NumberOfFrames, 1 where absent.

    Raises:
        BadInputError: it is no positive whole number.
    """
    text = text_of(dataset, "NumberOfFrames") or "1"
    if not text.isdigit() or int(text) < 1:
        raise BadInputError(f"{name!r}: NumberOfFrames must be a positive whole number, got {quoted(text)}")
    return int(text)


def is_inverted(dataset: Dataset) -> bool:
    """Say whether `stored_frame` turns the gray scale over: MONOCHROME1, except where values are physical."""
    return text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1" and (
        text_of(dataset, "Modality") not in _KEEPS_VALUES
    )


def stored_frame(dataset: Dataset, name: str, index: int = 0) -> AnyArray:
    """Decode one frame.

    Args:
        dataset: with pixels.
        name: file name for messages.
        index: 0-based frame.

    Returns:
        (row, column) stored values before rescale, or after the modality LUT where there is one; larger is brighter
        (MONOCHROME1 is inverted within its stored bits); or (row, column, 3) uint8 RGB.

    Raises:
        BadInputError: damaged or missing pixel data.
        UnsupportedError: a pixel type we do not read.
        UnavailableError: no decoder for this compression.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise UnsupportedError(f"{name!r} has float pixels, which are not read: store it with integer pixels")
    if "PixelData" not in dataset:
        raise BadInputError(f"{name!r} describes an image but holds no pixel data (cut short?): send it again")
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnsupportedError(
            f"{name!r} is compressed as {syntax.name!r}, which is not read: store it as JPEG 2000"
        ) from None
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise UnavailableError(f"no decoder for {syntax.name!r}: pip install python-gdcm ({missing})")
    if (
        syntax == JPEGExtended12Bit
        and _whole(dataset, "BitsStored", name) > 8
        and "pylibjpeg" not in decoder.available_plugins
    ):
        raise UnavailableError(
            f"{name!r} is 12-bit JPEG, which no decoder here reads: pip install pylibjpeg pylibjpeg-libjpeg (GPL)"
        )
    try:
        array, properties = decoder.as_array(dataset, index=index)
    except parse_errors() as error:
        raise BadInputError(
            f"{name!r}: the pixel data are damaged or cut short ({one_line(error)}): send it again"
        ) from error
    return _as_shown(array, str(properties["photometric_interpretation"]), dataset, name)


def _as_shown(array: AnyArray, photometric: str, dataset: Dataset, name: str) -> AnyArray:
    from pydicom.pixels.processing import apply_modality_lut

    if photometric == "PALETTE COLOR":
        array, photometric = _coloured(array, dataset, name), "RGB"
    if array.ndim == 3:
        if array.dtype != np.uint8 or photometric not in ("RGB", "YBR_ICT", "YBR_RCT"):
            raise UnsupportedError(
                f"{name!r} has colour of type {quoted(photometric)} {array.dtype}: store it as 8-bit RGB"
            )
        return array
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or _whole(dataset, "BitsAllocated", name) == 1:
        raise UnsupportedError(
            f"{name!r} has pixels of type {quoted(photometric)}, {dataset.BitsAllocated} bit: not read"
        )
    array = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if is_inverted(dataset):
        array = _inverted(array, _whole(dataset, "BitsStored", name), signed=array.dtype.kind == "i")
    if not dataset.get("ModalityLUTSequence"):
        return array
    try:
        return apply_modality_lut(array, dataset)
    except parse_errors() as error:
        raise BadInputError(f"{name!r}: its modality LUT is damaged ({one_line(error)}): send it again") from error


def _coloured(array: AnyArray, dataset: Dataset, name: str) -> AnyArray:
    """Return palette indices as RGB uint8."""
    from pydicom.pixels.processing import apply_color_lut

    try:
        rgb = apply_color_lut(array, _native_palette(dataset))
    except parse_errors() as error:
        raise BadInputError(f"{name!r}: its colour palette is damaged ({one_line(error)}): send it again") from error
    if rgb.dtype.itemsize == 1:
        return rgb
    shift = 8 if rgb.max() > 255 else 0  # some palettes are declared 16-bit but hold 8-bit entries; >> 8 would be black
    return (rgb >> shift).astype(np.uint8)


def _native_palette(dataset: Dataset) -> Dataset:
    """Return the dataset with 16-bit palette entries in this machine's byte order, which pydicom expects."""
    import copy

    if dataset.original_encoding[1] is not False or "RedPaletteColorLookupTableData" not in dataset:
        return dataset
    if int(dataset.RedPaletteColorLookupTableDescriptor[2]) != 16:
        return dataset
    turned = copy.copy(dataset)
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTableData"
        setattr(turned, keyword, np.frombuffer(dataset[keyword].value, ">u2").astype("<u2").tobytes())
    return turned


def _whole(dataset: Dataset, keyword: str, name: str) -> int:
    values = numbers(dataset, keyword, 1)
    if values is None:
        raise BadInputError(f"{name!r} has no {keyword}: its header is damaged; send it again")
    return int(values[0])


def _inverted(array: AnyArray, bits: int, *, signed: bool) -> AnyArray:
    """Turn the gray scale over within its stored bits: lowest ↔ highest possible value."""
    if signed:
        return -1 - array
    return ((1 << bits) - 1) - array


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
