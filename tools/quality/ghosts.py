"""Ghosts in MR: copies of the patient along one axis of a slice, from motion or flow between phase-encoding steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import BoolArray

MIN_AIR_PX = 40  # per strip: fewer tell nothing of a mean
MARGIN_PX = 3  # the rim of the patient bleeds into the air beside it
MIN_SLICES = 3


class Ghosts(NamedTuple):
    """How much brighter the air is along one axis of the slices than along the other."""

    percent: float
    """Percent signal ghosting: half the difference of the air's means along both axes, in percent of the patient's."""
    axis: str
    """ "rows" or "columns": along which of them the air is brighter."""


def ghosting(planes: NDArray[np.float32], inside: BoolArray) -> Ghosts | None:
    """Measure ghosts in the air beside the patient; None where there is no such air.

    Ghosts repeat along the phase-encoding axis: beside the patient in that direction the air is brighter than beside it
    in the other. Air at the corners, in line with the patient neither way, tells neither.

    Args:
        planes: float32 (slices, rows, columns), as scanned: air that was set to one value tells nothing.
        inside: bool, same shape, the patient.

    Source: percent signal ghosting, ACR MRI quality control manual (2015), with the patient's own outline in place of
    the phantom's.
    """
    found = [one for plane, body in zip(planes, inside, strict=True) if (one := _of_slice(plane, body)) is not None]
    if len(found) < min(MIN_SLICES, len(planes)):
        return None
    signed = float(np.median(found))
    return Ghosts(100 * abs(signed), "rows" if signed > 0 else "columns")


def _of_slice(plane: NDArray[np.float32], body: BoolArray) -> float | None:
    """Return half of the air above and below minus that beside, over the patient: positive for ghosts along rows."""
    from scipy.ndimage import binary_dilation, binary_fill_holes

    whole = binary_fill_holes(body)
    if not whole.any() or whole.mean() > 0.9:
        return None
    air = ~binary_dilation(whole, iterations=MARGIN_PX)
    in_rows, in_columns = whole.any(axis=1), whole.any(axis=0)
    above = air & in_columns[None, :] & ~in_rows[:, None]
    beside = air & in_rows[:, None] & ~in_columns[None, :]
    if min(np.count_nonzero(above), np.count_nonzero(beside)) < MIN_AIR_PX:
        return None
    if float(np.ptp(plane[air])) == 0:  # the background was cut away
        return None
    signal = float(plane[body].mean())
    return float(plane[above].mean() - plane[beside].mean()) / (2 * signal) if signal > 0 else None
