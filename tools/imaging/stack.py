"""Slices to a volume: sorted by position, refused where they are no regular grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.decode import Frame, stored_frames
from tools.imaging.dicom import require_image
from tools.imaging.dicom_header import (
    PlanePosition,
    acquisition_header,
    body_part,
    modality,
    numbers,
    orientation_note,
    pixel_spacing,
    plane_affine,
    plane_position,
    syntax_of,
    text_of,
)
from tools.imaging.geometry import FloatArray
from tools.imaging.pixels import is_inverted
from tools.imaging.reasons import quoted
from tools.imaging.rescale import rescaled
from tools.imaging.series import DicomFile
from tools.imaging.volume import AnyArray, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at the same position."""
STEP_TOLERANCE = 0.1
"""Largest distance of a slice from its place on the regular grid, as a fraction of the slice step; headers round."""
SHEAR_TOLERANCE = 0.01
"""Sideways move per step, as a fraction of the step; 0.6° of gantry tilt, below what gantries are set to."""


class Scale(NamedTuple):
    """RescaleSlope and RescaleIntercept of one slice."""

    slope: float
    intercept: float


class Grid(NamedTuple):
    """The order of slices and the vector from one to the next."""

    order: tuple[int, ...]
    step_lps: tuple[float, float, float]


def read_slices(files: Sequence[DicomFile]) -> Volume:
    """Read the slices of one series, in any order; one file makes a 2-D image.

    Raises:
        UnsupportedError: gantry tilt, missing or duplicate slices, mixed spacing, orientation, size or patients.
        BadInputError: a damaged file.
    """
    grid = slice_grid(files)
    headers = [file.dataset for file in files]
    planes = [plane_position(header) for header in headers]
    ordered = [files[index] for index in grid.order]
    first = grid.order[0]
    spacing = pixel_spacing(headers[first])
    array = stacked(
        stored_frames([Frame(file.path, 0) for file in ordered], {syntax_of(header) for header in headers}),
        [scale_of(file.dataset) for file in ordered],
    )
    return Volume(
        array,
        plane_affine(planes[first], spacing, grid.step_lps),
        spacing_source=spacing.source,
        modality=modality(headers[first]),
        body_part=body_part(headers[first]),
        units=units_of(headers[first]),
        header=common_header([file.dataset for file in ordered]) | orientation_note(planes[first]),
    )


def slice_grid(files: Sequence[DicomFile]) -> Grid:
    """Return the order of the slices of one series along their normal; for errors see `read_slices`."""
    for file in files:
        require_image(file.dataset, file.path.name)
    headers = [file.dataset for file in files]
    require_uniform(headers)
    planes = [plane_position(header) for header in headers]
    if len(files) == 1:
        return Grid((0,), lone_step(planes[0], numbers(headers[0], "SliceThickness", 1)))
    return regular_grid([plane for plane in planes if plane is not None], [file.path.name for file in files])


def lone_step(plane: PlanePosition | None, thickness: tuple[float, ...] | None) -> tuple[float, float, float]:
    """Return the third column of a 2-D image: its normal, as long as SliceThickness where there is one.

    It only makes the affine invertible; `Volume` does not give it out as a spacing.
    """
    if plane is None:
        return (0.0, 0.0, 1.0)
    length = thickness[0] if thickness and thickness[0] > 0 else 1.0
    x, y, z = (plane.normal_lps * length).tolist()
    return x, y, z


def regular_grid(planes: Sequence[PlanePosition], names: Sequence[str]) -> Grid:
    """Sort slices along their normal and check that they are a regular grid.

    Args:
        planes: at least two, with one orientation.
        names: file (or frame) of each plane, for messages.

    Raises:
        UnsupportedError: several slices at one position, a gap, uneven steps, or gantry tilt.
    """
    positions = np.array([plane.position_lps for plane in planes])
    normal = planes[0].normal_lps
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    _require_distinct(along[order], [names[index] for index in order])
    _require_even(along[order])
    step: FloatArray = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    _require_straight(positions[order], normal, step)
    return Grid(tuple(int(index) for index in order), (float(step[0]), float(step[1]), float(step[2])))


def _require_distinct(along: FloatArray, names: Sequence[str]) -> None:
    same = np.flatnonzero(np.diff(along) < SAME_PLACE_MM)
    if not len(same):
        return
    at = int(same[0])
    raise UnsupportedError(
        f"{len(same) + 1} slices share positions, first at {along[at]:.2f} mm along the normal ({names[at]!r} and "
        f"{names[at + 1]!r}): duplicate slices, or several phases, echoes or time points; keep one slice per position"
    )


def _require_even(along: FloatArray) -> None:
    steps = np.diff(along)
    usual = float(np.percentile(steps, 50, method="lower"))
    long = np.flatnonzero(steps > 1.5 * usual)
    times = steps[long] / usual
    whole = np.abs(times - np.round(times)).max(initial=0) < 1.5 * STEP_TOLERANCE
    if len(long) and whole and len(long) <= len(steps) / 4 + 1:
        at = int(long[0])
        count = int(np.sum(np.round(times) - 1))
        raise UnsupportedError(
            f"missing slices: about {count} where steps are {usual:.2f} mm, first between {along[at]:.2f} and "
            f"{along[at + 1]:.2f} mm along the normal; send the whole series again"
        )
    regular = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - regular).max() > STEP_TOLERANCE * usual:
        raise UnsupportedError(
            f"mixed slice spacing: steps range from {steps.min():.2f} to {steps.max():.2f} mm in one series; "
            "resample it, or attach the parts separately"
        )


def _require_straight(positions: FloatArray, normal: FloatArray, step: FloatArray) -> None:
    length = float(step @ normal)
    sideways = float(np.linalg.norm(step - length * normal))
    if sideways > SHEAR_TOLERANCE * length:
        angle = np.degrees(np.arctan2(sideways, length))
        raise UnsupportedError(
            f"gantry tilt: slices are shifted by {sideways:.2f} mm per {length:.2f} mm step ({angle:.1f}° off the "
            "slice normal), so the voxels are no rectangular grid; resample the series without tilt first"
        )
    regular = positions[0] + np.arange(len(positions))[:, np.newaxis] * step
    off = np.linalg.norm(positions - regular, axis=1)
    if off.max() > max(STEP_TOLERANCE * length, 0.1):
        at = int(off.argmax())
        raise UnsupportedError(
            f"slice {at + 1} lies {off[at]:.2f} mm beside its place in the stack: the series mixes fields of view"
        )


def require_uniform(headers: Sequence[Dataset]) -> None:
    """Refuse a series whose images differ in what one volume has only once.

    Raises:
        UnsupportedError: patients, studies, size, pixel type, spacing, orientation or frame of reference are mixed.
    """
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID"):
        count = len({text_of(header, keyword) for header in headers})
        if count > 1:
            raise UnsupportedError(
                f"one series uid covers {count} different values of {keyword}: images of several patients or studies "
                "are never merged; attach one patient's series"
            )
    for keyword in (
        "Modality", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
        "PixelRepresentation", "RescaleType", "FrameOfReferenceUID",
    ):  # fmt: skip
        require_one({text_of(header, keyword) for header in headers}, keyword)
    require_same_plane(headers)


def require_same_plane(headers: Sequence[Dataset]) -> None:
    """Refuse images of different pixel spacing or orientation; the last digits may differ.

    Raises:
        UnsupportedError: they are mixed.
    """
    for keyword, count in (("PixelSpacing", 2), ("ImagerPixelSpacing", 2), ("ImageOrientationPatient", 6)):
        values = [numbers(header, keyword, count) for header in headers]
        if all(value is not None and np.allclose(value, values[0] or 0, rtol=0, atol=1e-3) for value in values):
            continue
        require_one({str(list(value)) if value else "none" for value in values}, keyword)


def require_one(values: set[str], keyword: str) -> None:
    """Refuse more than one value of an element."""
    if len(values) > 1:
        shown = " and ".join(sorted(quoted(value) for value in values)[:3])
        raise UnsupportedError(
            f"the series mixes {len(values)} values of {keyword} ({shown}): it is not one volume; "
            "attach the parts separately"
        )


def scale_of(dataset: Dataset) -> Scale:
    """Return rescale slope and intercept; (1, 0) where absent.

    Raises:
        BadInputError: the slope is 0 or not a number.
    """
    slope, intercept = numbers(dataset, "RescaleSlope", 1), numbers(dataset, "RescaleIntercept", 1)
    if slope and slope[0] == 0:
        raise BadInputError("RescaleSlope must not be 0: all voxels would be equal; the header is damaged")
    return Scale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)


def units_of(dataset: Dataset) -> str:
    """Return "HU" for CT rescaled to Hounsfield units (RescaleType HU or absent, no localizer), "" otherwise."""
    is_hounsfield = (
        text_of(dataset, "Modality") == "CT"
        and bool(text_of(dataset, "RescaleSlope"))
        and text_of(dataset, "RescaleType") in ("", "HU")
        and "LOCALIZER" not in text_of(dataset, "ImageType")
    )
    return "HU" if is_hounsfield else ""


def common_header(headers: Sequence[Dataset]) -> dict[str, str]:
    """Return the acquisition facts that all images share, and a note where the gray scale was turned over."""
    common = acquisition_header(headers[0])
    for header in headers[1:]:
        other = acquisition_header(header)
        common = {keyword: text for keyword, text in common.items() if other.get(keyword) == text}
    if is_inverted(headers[0]):
        common["InvertedNote"] = "MONOCHROME1 was inverted on reading: larger values are brighter"
    return common


def stacked(frames: Iterable[AnyArray], scales: Sequence[Scale]) -> AnyArray:
    """Put frames together and rescale them.

    Args:
        frames: (row, column) or (row, column, 3) each, in slice order, all of one shape and type.
        scales: one per frame.

    Returns:
        (i, j, k) = (column, row, slice), or (i, j, k, 3).
    """
    stack: AnyArray | None = None
    for index, frame in enumerate(frames):
        turned = frame.swapaxes(0, 1)
        if stack is None:
            stack = np.empty((*turned.shape[:2], len(scales), *turned.shape[2:]), turned.dtype, order="F")
        if turned.shape[:2] != stack.shape[:2] or turned.dtype != stack.dtype:
            raise UnsupportedError(f"slice {index + 1} decodes to {turned.shape} {turned.dtype}, unlike the first")
        stack[:, :, index] = turned
    if stack is None:
        raise ValueError("frames must not be empty")
    if stack.ndim == 4:
        return stack
    if len(set(scales)) == 1:
        return rescaled(stack, *scales[0])
    values = np.empty(stack.shape, np.float32, order="F")
    for k, scale in enumerate(scales):
        values[:, :, k] = stack[:, :, k].astype(np.float64) * scale.slope + scale.intercept
    return values
