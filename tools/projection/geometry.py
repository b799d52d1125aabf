"""From where an X-ray sees a patient: source, detector and rays, in the image's own world.

The world is RAS+ mm. The beam's middle ray passes through the isocentre, the middle of the volume. At rotation 0 and
tilt 0 the source stands behind the patient and the detector in front (PA, as chest films are taken); rotation turns
both about the patient's long axis, the source from behind towards the patient's left, so that 90° is a left-right beam
(the detector at the patient's right), 180° is AP; tilt lifts the source towards the head.

A picture's columns run from the patient's right to left as the reader faces the patient (patient's right on the
picture's left side, PA and AP alike, as films are hung), rows from head to feet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import Volume

SOURCE_TO_DETECTOR_MM = 1800.0
"""Usual for chest films: 180 cm, European Guidelines on Quality Criteria for Diagnostic Radiographic Images, EUR 16260
(1996)."""
SOURCE_TO_ISOCENTRE_MM = 1500.0
"""The detector 30 cm beyond the middle of the patient, which leaves room for any turn of a trunk."""


class Angles(NamedTuple):
    """Where the source stands, in degrees."""

    rotation_deg: float
    tilt_deg: float


VIEWS: Mapping[str, Angles] = MappingProxyType(
    {
        "frontal": Angles(0, 0),
        "pa": Angles(0, 0),
        "ap": Angles(180, 0),
        "lateral": Angles(-90, 0),
        "left_lateral": Angles(-90, 0),
        "right_lateral": Angles(90, 0),
        "oblique": Angles(-45, 0),
    }
)
"""A left lateral has the patient's left side at the detector, as is usual for the chest."""


@dataclass(frozen=True)
class Beam:
    """Source and detector of one view, float64, RAS+ mm."""

    source: NDArray[np.float64]
    corner: NDArray[np.float64]
    """Centre of the picture's first pixel (row 0, column 0)."""
    column_step: NDArray[np.float64]
    """From one column to the next."""
    row_step: NDArray[np.float64]
    """From one row to the next."""
    size: tuple[int, int]
    """Rows, columns."""


@dataclass(frozen=True)
class Detector:
    """The picture: pixels and their edge on the detector."""

    rows: int
    columns: int
    pixel_mm: float


def beam(isocentre: NDArray[np.float64], angles: Angles, detector: Detector) -> Beam:
    """Return source and detector for a view.

    Args:
        isocentre: (3,) RAS+ mm, where the middle ray passes.
        angles: where the source stands.
        detector: the picture.
    """
    turn, lift = np.radians(angles.rotation_deg), np.radians(angles.tilt_deg)
    # Unit vector from the isocentre to the source: behind (−A) at 0°, the patient's left (−R) at 90°.
    to_source = np.array([-np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)])
    up = np.array([np.sin(turn) * np.sin(lift), np.cos(turn) * np.sin(lift), np.cos(lift)])
    across = np.cross(to_source, up)
    if abs(angles.rotation_deg) % 360 > 90 and abs(angles.rotation_deg) % 360 < 270:
        across = -across  # films are hung with the patient's right on the left, also when taken AP
    middle = isocentre - to_source * (SOURCE_TO_DETECTOR_MM - SOURCE_TO_ISOCENTRE_MM)
    columns, rows = across * detector.pixel_mm, -up * detector.pixel_mm
    corner = middle - columns * (detector.columns - 1) / 2 - rows * (detector.rows - 1) / 2
    source = isocentre + to_source * SOURCE_TO_ISOCENTRE_MM
    return Beam(source, corner, columns, rows, (detector.rows, detector.columns))


def isocentre_of(volume: Volume) -> NDArray[np.float64]:
    """Return the middle of a volume, (3,) RAS+ mm."""
    middle = (np.array(volume.shape) - 1) / 2
    return np.asarray((volume.affine_ras @ [*middle, 1])[:3])


def detector_for(volume: Volume, pixels: int) -> Detector:
    """Return a detector that the whole volume falls on, from any side, with so many pixels along its longer edge."""
    corners = np.array([[*(np.array(volume.shape) * pick - 0.5), 1.0] for pick in np.ndindex(2, 2, 2)])
    away = (corners @ volume.affine_ras.T)[:, :3] - isocentre_of(volume)
    # The part that lies nearest to the source is magnified most.
    nearest = SOURCE_TO_ISOCENTRE_MM - float(np.linalg.norm(away[:, :2], axis=1).max())
    magnified = SOURCE_TO_DETECTOR_MM / max(nearest, 100.0)
    width = 2 * float(np.linalg.norm(away[:, :2], axis=1).max()) * magnified
    height = 2 * float(np.abs(away[:, 2]).max()) * magnified
    pixel_mm = max(width, height) / pixels
    return Detector(max(1, round(height / pixel_mm)), max(1, round(width / pixel_mm)), pixel_mm)
