"""Pixel data of one DICOM frame: decompressed, in RGB or with larger values brighter, before rescale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.dicom_header import numbers, text_of
from tools.imaging.reasons import one_line, parse_errors, quoted
from tools.imaging.volume import AnyArray

if TYPE_CHECKING:
    from pydicom import Dataset

_KEEPS_VALUES = ("CT", "PT", "NM")  # their values are physical (HU, Bq/ml, counts): MONOCHROME1 only says how to show


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
    from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

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
    plugin = "pillow" if syntax == JPEGBaseline8Bit else ""  # gdcm, which comes first, can crash on damaged JPEG
    try:
        array, properties = decoder.as_array(dataset, index=index, decoding_plugin=plugin)
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
