"""An image that came without DICOM as a DICOM series, so that segmentations and reports have something to refer to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.dicom_header import SYNTHETIC_DERIVATION
from tools.imaging.geometry import LPS_TO_RAS
from tools.imaging.volume import AnyArray, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_MODALITIES = ("CT", "MR")
_INT16 = (-32768, 32767)
_SHEAR = 1e-3  # cosine between two axes from which they count as oblique to each other; headers round
MANUFACTURER = "Reading Room (research use)"


class Stored(NamedTuple):
    """Stored pixel values of an image: value = stored * slope + intercept."""

    pixels: AnyArray
    """int16 (i, j, k)."""
    slope: float
    intercept: float
    exact: bool
    """Whether no value was rounded."""


def write_series(
    volume: Volume, folder: Path, *, description: str, synthetic: bool = False
) -> tuple[tuple[Dataset, ...], bool]:
    """Write a volume as a classic CT or MR series, one file a slice, without patient data.

    Args:
        volume: CT or MR, 3-D, with spacing; i runs along the columns of a slice.
        folder: an empty folder that is there.
        description: SeriesDescription, at most 64 characters.
        synthetic: no scanner took it: every file says so, and `read_image` believes it.

    Returns:
        The data sets in slice order, without pixels, and whether every voxel value is kept exactly.

    Raises:
        UnsupportedError: another modality, colour, no spacing, or axes that are not at right angles.
    """
    from pydicom.uid import generate_uid

    _require_writable(volume)
    stored = stored_values(volume)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    headers = []
    for k in range(volume.shape[2]):
        dataset = _slice(volume, k, stored)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.SeriesDescription = description[:64]
        if synthetic:
            dataset.DerivationDescription = SYNTHETIC_DERIVATION
        rows = np.ascontiguousarray(stored.pixels[:, :, k].T.astype("<i2"))
        dataset.PixelData = rows.tobytes()
        dataset.save_as(folder / f"slice-{k + 1:04d}.dcm", enforce_file_format=True)
        del dataset.PixelData
        headers.append(dataset)
    return tuple(headers), stored.exact


def stored_values(volume: Volume) -> Stored:
    """Return an image's values as int16: as they are where they are whole numbers in range, else scaled.

    Raises:
        UnsupportedError: a value is not finite.
    """
    array = volume.array
    if not np.isfinite(array).all():
        raise UnsupportedError("the image holds voxels that are not numbers (NaN or infinite); DICOM cannot hold them")
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind in "bi" or bool(np.all(array == np.round(array)))
    if whole and low >= _INT16[0] and high <= _INT16[1]:
        return Stored(array.astype(np.int16), 1.0, 0.0, exact=True)
    slope = float(f"{max(high - low, 1e-6) / 65000:.9g}")  # a decimal string holds 16 characters
    intercept = float(f"{(low + high) / 2:.9g}")
    pixels = np.clip(np.round((array.astype(np.float64) - intercept) / slope), *_INT16).astype(np.int16)
    return Stored(pixels, slope, intercept, exact=False)


def _require_writable(volume: Volume) -> None:
    if volume.modality not in _MODALITIES:
        raise UnsupportedError(
            f"only CT and MR volumes can be written as a DICOM series, this image is {volume.modality or 'unknown'}; "
            "attach the original DICOM, or say what it is ('--modality CT')"
        )
    if volume.dims != 3 or volume.is_colour:
        raise UnsupportedError("a grey volume is needed for a DICOM series; attach the original DICOM image")
    steps = volume.spacing_mm  # raises where there are none
    axes = volume.affine_ras[:3, :3] / np.array(steps)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > _SHEAR:
        raise UnsupportedError("the image's axes are not at right angles, which a DICOM series cannot say: resample it")


def _slice(volume: Volume, k: int, stored: Stored) -> Dataset:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct = volume.modality == "CT"
    meta.MediaStorageSOPClassUID = CTImageStorage if ct else MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = dataset.PatientID = dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.ReferringPhysicianName = dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = MANUFACTURER
    dataset.Modality, dataset.BodyPartExamined = volume.modality, volume.body_part
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, k + 1, ""
    dataset.ContentDate = dataset.ContentTime = ""
    if not ct:
        dataset.ScanningSequence = dataset.SequenceVariant = dataset.ScanOptions = dataset.MRAcquisitionType = ""
        dataset.EchoTime = dataset.EchoTrainLength = None
    else:
        dataset.KVP = None
    _place(dataset, volume, k)
    _pixels(dataset, volume, stored, ct=ct)
    return dataset


def _place(dataset: Dataset, volume: Volume, k: int) -> None:
    affine_lps = LPS_TO_RAS @ volume.affine_ras  # the flip is its own inverse
    steps = np.linalg.norm(affine_lps[:3, :3], axis=0)
    axes = affine_lps[:3, :3] / steps
    dataset.ImageOrientationPatient = [_decimal(v) for v in (*axes[:, 0], *axes[:, 1])]
    dataset.ImagePositionPatient = [_decimal(v) for v in (affine_lps @ [0, 0, k, 1])[:3]]
    dataset.PixelSpacing = [_decimal(steps[1]), _decimal(steps[0])]
    dataset.SliceThickness = _decimal(steps[2])


def _pixels(dataset: Dataset, volume: Volume, stored: Stored, *, ct: bool) -> None:
    dataset.Columns, dataset.Rows = volume.shape[0], volume.shape[1]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(stored.slope), _decimal(stored.intercept)
    if ct:
        dataset.RescaleType = volume.units or "US"


def _decimal(value: float) -> str:
    """Return a number as a DICOM decimal string: at most 16 characters, as exact as fits."""
    for digits in range(16, 0, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"no decimal string of 16 characters for {value!r}")
