"""What may be kept of a DICOM header, and what it says about body part, millimetres and place in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import BadInputError
from tools.imaging.geometry import LPS_TO_RAS
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.reasons import one_line, parse_errors, quoted
from tools.imaging.terms import body_part_term, modality_term, view_term
from tools.imaging.volume import ORIENTATION_UNKNOWN, SYNTHETIC_NOTE, Affine, SpacingSource

if TYPE_CHECKING:
    from pydicom import Dataset

ACQUISITION_KEYWORDS = (
    "Modality", "ImageType", "PhotometricInterpretation", "BurnedInAnnotation", "LossyImageCompression",
    "Manufacturer", "ManufacturerModelName", "PatientPosition", "PatientOrientation", "ViewPosition", "Laterality",
    "ImageLaterality", "BodyPartExamined", "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "KVP",
    "Exposure", "XRayTubeCurrent", "ConvolutionKernel", "RescaleType", "MagneticFieldStrength", "ScanningSequence",
    "SequenceVariant", "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle",
    "EstimatedRadiographicMagnificationFactor", "PixelPaddingValue", "Units", "BitsStored",
)  # fmt: skip
"""The whole allow-list: closed sets and numbers. No free text, names, ids, dates, institutions, UIDs."""

IDENTITY_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID",
    "PatientName", "PatientBirthDate", "SeriesNumber", "InstanceNumber", "SeriesDescription", "NumberOfFrames",
)  # fmt: skip
"""Read to tell patients, studies and series apart; never kept."""

SYNTHETIC_DERIVATION = "SYNTHETIC: made by a computer, not by a scanner"
"""DerivationDescription of an image that no scanner took. Of that free text we look at the first word alone."""

LONGEST_FACT = 100


class PlanePosition(NamedTuple):
    """Where one image plane lies: DICOM's ImagePositionPatient and ImageOrientationPatient."""

    position_lps: tuple[float, float, float]
    """Centre of the first pixel, LPS+ mm."""
    row_lps: tuple[float, float, float]
    """Unit direction in which the column index grows."""
    column_lps: tuple[float, float, float]
    """Unit direction in which the row index grows."""

    @property
    def normal_lps(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Unit normal of the plane: row direction cross column direction."""
        return np.cross(self.row_lps, self.column_lps)


class PixelSpacing(NamedTuple):
    """Millimetres of the image plane and the keyword that gave them."""

    row_mm: float
    """Distance between rows (down the picture)."""
    column_mm: float
    """Distance between columns (along a row)."""
    source: SpacingSource | None
    """None: no millimetres; both distances are then 1 pixel."""


NO_SPACING = PixelSpacing(1.0, 1.0, None)


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element as text; "" where it is absent or empty."""
    value = _value(dataset, keyword)
    if value is None:
        return ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\\".join(str(part) for part in value)
    return str(value).strip()


def _value(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value, decoded now; pydicom decodes when an element is asked for."""
    try:
        return dataset.get(keyword)
    except parse_errors() as error:
        raise BadInputError(f"{keyword} cannot be read ({one_line(error)}): the header is damaged") from error


def acquisition_header(dataset: Dataset) -> dict[str, str]:
    """Return the non-identifying acquisition facts of a dataset by keyword, with the transfer syntax.

    A value longer than any of these elements may be, or not printable, is damage and may hold anything: it is left out.
    What plans and answers speak of (modality, body part, view) is a term of the standard, or left out.
    """
    header = {keyword: text for keyword in ACQUISITION_KEYWORDS if (text := text_of(dataset, keyword))}
    if text_of(dataset, "DerivationDescription").startswith("SYNTHETIC"):
        header |= SYNTHETIC_NOTE
    header = {keyword: text for keyword, text in header.items() if len(text) <= LONGEST_FACT and text.isprintable()}
    said = {"Modality": modality(dataset), "BodyPartExamined": body_part(dataset), "ViewPosition": view(dataset)}
    header = {keyword: said.get(keyword, text) for keyword, text in header.items() if said.get(keyword, text)}
    syntax = syntax_of(dataset)
    return header | ({"TransferSyntaxUID": syntax} if syntax else {})


def syntax_of(dataset: Dataset) -> str:
    """Return the TransferSyntaxUID of the file a dataset was read from; "" where there is none."""
    meta = getattr(dataset, "file_meta", None)
    return "" if meta is None else text_of(meta, "TransferSyntaxUID")


def modality(dataset: Dataset) -> str:
    """Return Modality as a term of the standard; "" where it is absent or none."""
    return modality_term(text_of(dataset, "Modality"))


def body_part(dataset: Dataset) -> str:
    """Return BodyPartExamined as a term of the standard, variants joined (BRAIN is HEAD); "" where it is none."""
    return body_part_term(text_of(dataset, "BodyPartExamined"))


def view(dataset: Dataset) -> str:
    """Return the known words of ViewPosition; "" where it is absent, `OTHER_VIEW` where none is known."""
    return view_term(text_of(dataset, "ViewPosition"))


def pixel_spacing(dataset: Dataset) -> PixelSpacing:
    """Return the in-plane millimetres of an image.

    PixelSpacing first (calibrated or patient plane), then ImagerPixelSpacing (detector plane, magnified), then
    NominalScannedPixelSpacing (digitised film). Zero or missing values are no spacing. PixelAspectRatio is no spacing.
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = numbers(dataset, keyword, 2)
        if values is None or min(values) <= 0:
            continue
        source: SpacingSource = keyword
        if keyword == "PixelSpacing" and _is_detector_plane(dataset, values):
            source = "ImagerPixelSpacing"
        return PixelSpacing(values[0], values[1], source)
    return NO_SPACING


def _is_detector_plane(dataset: Dataset, spacing: tuple[float, ...]) -> bool:
    """Say whether PixelSpacing only repeats ImagerPixelSpacing, without calibration (DICOM PS3.3, 10.7.1.3)."""
    imager = numbers(dataset, "ImagerPixelSpacing", 2)
    return (
        imager is not None
        and bool(np.allclose(imager, spacing, rtol=1e-4))
        and not text_of(dataset, "PixelSpacingCalibrationType")
    )


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return the finite numbers of an element; None where it is absent or empty.

    Raises:
        BadInputError: it holds something else.
    """
    value = _value(dataset, keyword)
    if value is None or value == "" or (isinstance(value, Sequence) and not len(value)):
        return None
    try:
        parts = tuple(
            float(part) for part in (value if isinstance(value, Sequence) and not isinstance(value, str) else [value])
        )
    except (TypeError, ValueError):
        parts = ()
    if len(parts) != count or not np.isfinite(parts).all():
        raise BadInputError(
            f"{keyword} must be {count} numbers, got {quoted(text_of(dataset, keyword))}: the header is damaged"
        )
    return parts


def plane_position(dataset: Dataset, orientation_from: Dataset | None = None) -> PlanePosition | None:
    """Return where an image lies in the patient; None where the header does not say.

    Args:
        dataset: holds ImagePositionPatient.
        orientation_from: holds ImageOrientationPatient; None for the same dataset.

    Raises:
        BadInputError: the orientation is not two unit vectors at right angles.
    """
    position = numbers(dataset, "ImagePositionPatient", 3)
    directions = numbers(orientation_from or dataset, "ImageOrientationPatient", 6)
    if position is None or directions is None:
        return None
    row, column = np.array(directions[:3]), np.array(directions[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if np.abs(np.array(lengths) - 1).max() > 1e-2 or abs(row @ column) > 1e-2:
        raise BadInputError(f"ImageOrientationPatient must be two unit vectors at right angles, got {directions}")
    return PlanePosition(
        (position[0], position[1], position[2]), _triple(row / lengths[0]), _triple(column / lengths[1])
    )


def plane_affine(plane: PlanePosition | None, spacing: PixelSpacing, step_lps: Sequence[float]) -> Affine:
    """Return the affine of axes (i, j, k) = (column, row, slice).

    Args:
        plane: the first slice; None for a picture without a place in the patient.
        spacing: in-plane millimetres.
        step_lps: vector from one slice to the next, LPS+ mm; not used without a plane.

    Returns:
        float64 (4, 4), voxel index to RAS+ mm.
    """
    if plane is None:
        return PICTURE_AFFINE @ np.diag([spacing.column_mm, spacing.row_mm, 1.0, 1.0])
    affine_lps = np.eye(4)
    affine_lps[:3, 0] = np.array(plane.row_lps) * spacing.column_mm
    affine_lps[:3, 1] = np.array(plane.column_lps) * spacing.row_mm
    affine_lps[:3, 2] = step_lps
    affine_lps[:3, 3] = plane.position_lps
    return LPS_TO_RAS @ affine_lps


def orientation_note(plane: PlanePosition | None) -> dict[str, str]:
    """Return the header entry that says the place in the patient is unknown; empty where it is known."""
    return {} if plane is not None else dict(ORIENTATION_UNKNOWN)


def _triple(vector: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
