"""Slices as a radiologist sees them: windowed, patient's right on the left of the picture, square millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.geometry import orientation_codes
from tools.imaging.volume import AnyArray, BoolArray, Volume

ByteArray = NDArray[np.uint8]
Preset = Literal["lung", "bone", "brain", "soft tissue", "auto"]
Plane = Literal["axial", "coronal", "as stored"]


class Window(NamedTuple):
    """Which values are shown from black to white."""

    width: float
    level: float


WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "lung": Window(1500, -600),
        "bone": Window(1800, 400),
        "brain": Window(80, 40),
        "soft tissue": Window(400, 50),
    }
)
"""In HU. The usual settings as listed by Radiopaedia, article "Windowing (CT)": lungs 1500/-600, bone 1800/400,
brain 80/40, abdominal soft tissue 400/50."""

AUTO_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Picture:
    """One slice laid out for the eye: row 0 is the top of the picture, column 0 its left side."""

    plane: Plane
    gray: ByteArray
    """(rows, columns), or (rows, columns, 3) for a colour image."""
    masks: Mapping[str, BoolArray]
    """(rows, columns) per name."""
    step_mm: tuple[float, float]
    """Distance between rows and between columns, in mm; in voxels where `has_spacing` is False."""
    has_spacing: bool
    left_side: str
    """What lies at the left side of the picture: "R", "L", or "" where the image does not say."""
    slice_number: int
    """Counted from 1 in the direction of the plane: from feet to head, from back to front; 1 for a 2-D image."""
    slice_count: int

    @property
    def caption(self) -> str:
        """Name plane and slice."""
        if self.plane == "as stored":
            return "image as stored"
        return f"{self.plane}, slice {self.slice_number} of {self.slice_count}"


def window(array: AnyArray, preset: Preset = "auto") -> ByteArray:
    """Map values to gray levels.

    Args:
        array: any shape, real numbers; HU for all presets but "auto".
        preset: a CT window, or "auto": from the 0.5th to the 99.5th percentile of the array.

    Returns:
        uint8, same shape, 0 black to 255 white; a constant array comes back black under "auto".
    """
    values = np.asarray(array, dtype=np.float32)
    if preset == "auto":
        low, high = (float(v) for v in np.percentile(values, AUTO_PERCENTILES))
    else:
        width, level = WINDOWS[preset]
        low, high = level - width / 2, level + width / 2
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled: ByteArray = (np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    return scaled


def preset_for(volume: Volume, targets: Mapping[str, Any]) -> Preset:
    """Return the window in which targets are usually read; "auto" unless the values are HU."""
    if volume.units != "HU":
        return "auto"
    names = set(targets)
    if names and all("lung" in name or name in {"trachea", "airways"} for name in names):
        return "lung"
    if names & {"bones", "skull", "sternum"} or any(n.startswith(("rib_", "vertebrae_")) for n in names):
        return "bone"
    return "brain" if names == {"brain"} else "soft tissue"


def key_slice(mask: BoolArray, axis: int) -> int:
    """Return the index along an axis where the mask covers most; the middle one when the mask is empty.

    Args:
        mask: bool (i, j, k).
        axis: 0, 1 or 2.
    """
    areas = np.count_nonzero(mask, axis=tuple(a for a in range(3) if a != axis))
    return int(areas.argmax()) if areas.any() else mask.shape[axis] // 2


def pictures(volume: Volume, masks: Mapping[str, BoolArray], preset: Preset | None = None) -> tuple[Picture, ...]:
    """Lay out the key slices of an image: axial and coronal for a volume, the image itself when it is 2-D.

    Axes are those nearest to the patient's; an oblique volume is not resampled. A volume that does not say how it lies
    in the patient is shown as stored, at the key slice of its third axis.

    Args:
        volume: the image.
        masks: bool (i, j, k) per name, on the grid of `volume`.
        preset: the window; None chooses by targets.
    """
    chosen = preset or preset_for(volume, masks)
    if volume.dims == 2 or not volume.orientation_known:
        return (_as_stored(volume, masks, chosen),)
    return _plane(volume, masks, chosen, "axial"), _plane(volume, masks, chosen, "coronal")


def _plane(volume: Volume, masks: Mapping[str, BoolArray], preset: Preset, plane: Plane) -> Picture:
    codes = orientation_codes(volume.affine_ras)
    order = [next(a for a, code in enumerate(codes) if code in pair) for pair in ("LR", "PA", "IS")]
    flips = tuple(slice(None, None, -1 if codes[a] in "LPI" else 1) for a in order)
    # A view with axes to Right, Anterior, Superior: two slices need no copy of the whole volume.
    turned = {name: mask.transpose(order)[flips] for name, mask in masks.items()}
    across, rows_axis = (2, 1) if plane == "axial" else (1, 2)
    shape = [volume.shape[a] for a in order]
    index = key_slice(_union(turned.values(), shape), across)
    values = volume.array.transpose(order + [3] * volume.is_colour)[flips]
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)[order]
    return Picture(
        plane=plane,
        gray=_gray(np.take(values, index, across).swapaxes(0, 1)[::-1, ::-1], preset),
        masks={name: np.take(mask, index, across).T[::-1, ::-1] for name, mask in turned.items()},
        step_mm=(float(steps[rows_axis]), float(steps[0])),
        has_spacing=volume.spacing_source is not None,
        left_side="R",
        slice_number=index + 1,
        slice_count=shape[across],
    )


def _as_stored(volume: Volume, masks: Mapping[str, BoolArray], preset: Preset) -> Picture:
    index = key_slice(_union(masks.values(), volume.shape), 2)
    side = ""
    if volume.orientation_known:
        side = {"L": "R", "R": "L"}.get(orientation_codes(volume.affine_ras)[0], "")
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    return Picture(
        plane="as stored",
        gray=_gray(volume.array[:, :, index].swapaxes(0, 1), preset),
        masks={name: mask[:, :, index].T for name, mask in masks.items()},
        step_mm=(float(steps[1]), float(steps[0])),
        has_spacing=volume.spacing_source is not None,
        left_side=side,
        slice_number=index + 1,
        slice_count=volume.shape[2],
    )


def _union(masks: Any, shape: Any) -> BoolArray:
    union = np.zeros(tuple(shape), bool)
    for mask in masks:
        union |= mask
    return union


def _gray(values: AnyArray, preset: Preset) -> ByteArray:
    return np.asarray(values, dtype=np.uint8) if values.ndim == 3 else window(values, preset)
