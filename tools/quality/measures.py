"""Technical quality of one image, measured: noise, blur, clipping, cut-off anatomy, jumps between slices."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.geometry import closest_canonical
from tools.imaging.volume import AnyArray, BoolArray, Volume
from tools.quality.ghosts import ghosting
from tools.results import QualityRow, QualityVerdict

FloatArray = NDArray[np.float32]

MAX_SLICES = 24  # spread over the volume; noise and blur change slowly along it
BODY_HU = -500.0  # between air and the least dense tissue that is no lung
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
JUMP_Z = 6.0  # robust standard deviations: one in a billion for a normal distribution
MIN_CONTENT = 0.3  # of the contrast of the fullest slice: beyond the ends of a head or body neighbours differ by nature
MIN_DROP = 0.02  # of correlation: smaller drops are anatomy that changes


def measure_quality(volume: Volume) -> tuple[QualityRow, ...]:
    """Return every measure that the image allows.

    Raises:
        BadInputError: voxels are not numbers.
        UnsupportedError: every voxel has the same value, or the image is too small to be judged.
    """
    slices = _slices(volume)
    return tuple(_rows(volume, slices))


def noise_sd(plane: FloatArray, inside: BoolArray) -> float:
    """Return the standard deviation of white noise in a picture, edges left out by their rarity.

    Args:
        plane: float32 (rows, columns).
        inside: where to look.

    Source: Immerkær, Comput Vis Image Underst 64 (1996) 300, with the median in place of the mean.
    """
    from scipy.ndimage import convolve

    found = np.abs(convolve(plane, _LAPLACIAN, mode="reflect"))[inside]
    return float(np.median(found) / 0.6745 / 6.0) if found.size else float("nan")


def slice_jumps(planes: FloatArray) -> list[int]:
    """Return the numbers (0-based) of slices that fit their neighbours far worse than slices around them do.

    Args:
        planes: float32 (slices, rows, columns).
    """
    if len(planes) < 8:
        return []
    flat = planes.reshape(len(planes), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1)
    both = np.maximum(norm[1:] * norm[:-1], 1e-9)
    likeness = (flat[1:] * flat[:-1]).sum(axis=1) / both
    shows_enough = np.minimum(norm[1:], norm[:-1]) >= MIN_CONTENT * norm.max()
    steps = np.where(shows_enough, likeness - _running_median(likeness), 0.0)
    spread = 1.4826 * float(np.median(np.abs(steps - np.median(steps))))
    limit = min(-JUMP_Z * spread, -MIN_DROP)
    return [int(n) + 1 for n in np.flatnonzero(steps < limit)]


def foreground(volume: Volume) -> BoolArray:
    """Return where the patient is: denser than air in CT, else brighter than Otsu's threshold."""
    values = _gray(volume)
    if volume.units == "HU":
        return np.asarray(values > BODY_HU)
    from skimage.filters import threshold_otsu

    return np.asarray(values > threshold_otsu(values[::2, ::2]))


def _rows(volume: Volume, slices: list[int]) -> Iterator[QualityRow]:
    values, inside = _gray(volume), foreground(volume)
    sd = float(np.nanmedian([noise_sd(values[..., k], inside[..., k]) for k in slices]))
    unit = volume.units if volume.units == "HU" else ""
    immerkaer = "median absolute Laplacian (Immerkær 1996) inside the patient"
    yield _judged("noise", sd, unit, immerkaer)
    if volume.units != "HU" and sd > 0:
        yield _judged("signal_to_noise", float(np.median(values[inside])) / sd, "", f"median signal over {immerkaer}")
    yield _judged("blur", _blur(values, slices), "", "re-blurring (Crete et al. 2007): 0 sharp, 1 blurred")
    yield _judged("clipping", _clipped(values, inside, volume), "%", "pixels of the patient at the end of the scale")
    if volume.dims == 3 or volume.units == "HU":
        yield _judged("cut_off", _cut_off(inside), "%", "rim of the slices that shows the patient")
    if volume.modality == "MR":
        yield from _ghosts(values, inside, slices)
    if volume.dims == 3 and volume.orientation_known:
        jumps = slice_jumps(_stacked(volume))
        where = f"; at {', '.join(str(j + 1) for j in jumps[:5])}" if jumps else ""
        yield _judged("slice_jumps", float(len(jumps)), "", f"slices unlike their neighbours{where}")


def _ghosts(values: FloatArray, inside: BoolArray, slices: list[int]) -> Iterator[QualityRow]:
    order = (2, 1, 0)  # slices, rows, columns
    if found := ghosting(values[:, :, slices].transpose(order), inside[:, :, slices].transpose(order)):
        method = f"percent signal ghosting in the air beside the patient (ACR 2015), brighter along the {found.axis}"
        yield _judged("ghosting", found.percent, "%", method)


def _judged(aspect: str, value: float, unit: str, method: str) -> QualityRow:
    limit = _limits().get(aspect)
    verdict: QualityVerdict = "not judged"
    if limit and not np.isnan(value):
        verdict = "poor" if value >= limit["poor"] else "questionable" if value >= limit["questionable"] else "ok"
    return QualityRow(
        aspect=aspect,
        value=round(value, 4),
        unit=unit,
        verdict=verdict,
        method=method,
        basis=str(limit["basis"]) if limit else "",
    )


@functools.cache
def _limits() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "limits.toml").read_text(encoding="utf-8"))


def _gray(volume: Volume) -> FloatArray:
    array: AnyArray = volume.array
    return np.asarray(array.mean(axis=-1) if volume.is_colour else array, dtype=np.float32)


def _slices(volume: Volume) -> list[int]:
    """Return the slices to look at, and refuse what cannot be judged."""
    if not np.isfinite(volume.array).all():
        raise BadInputError("the image holds voxels that are not numbers (NaN or infinite): replace them first")
    if min(volume.shape[:2]) < 16:
        raise UnsupportedError(
            f"an image of at least 16 × 16 pixels is needed to judge its quality, got {volume.shape}"
        )
    if float(np.ptp(volume.array)) == 0:
        raise UnsupportedError("every voxel has the same value: there is nothing to judge")
    count = volume.shape[2]
    return sorted(set(np.linspace(0, count - 1, min(MAX_SLICES, count)).round().astype(int).tolist()))


def _blur(values: FloatArray, slices: list[int]) -> float:
    from skimage.measure import blur_effect

    found = [blur_effect(values[..., k]) for k in slices if float(np.ptp(values[..., k])) > 0]
    return float(np.median(found))


def _clipped(values: FloatArray, inside: BoolArray, volume: Volume) -> float:
    """Return which share of the patient's pixels holds the highest value (or, in a picture, the lowest), in percent."""
    patient = values[inside]
    if not patient.size:
        return 0.0
    high = float(np.mean(patient == patient.max()))
    low = float(np.mean(patient == patient.min())) if volume.dims == 2 else 0.0
    return 100 * max(high, low)


def _cut_off(inside: BoolArray) -> float:
    """Return which share of the rim of the slices shows the patient, in percent."""
    rim = np.ones(inside.shape[:2], bool)
    rim[1:-1, 1:-1] = False
    return 100 * float(np.mean(inside[rim]))


def _stacked(volume: Volume) -> FloatArray:
    """Return the slices, coarse in plane, stacked along the axis of the widest spacing."""
    canonical = closest_canonical(volume)
    steps = np.linalg.norm(canonical.affine_ras[:3, :3], axis=0)
    axis = int(np.argmax(steps)) if steps.max() > 1.2 * steps.min() else 2
    moved = np.moveaxis(_gray(canonical), axis, 0)
    stride = max(1, min(moved.shape[1:]) // 64)
    return moved[:, ::stride, ::stride]


def _running_median(values: NDArray[np.float64], width: int = 9) -> NDArray[np.float64]:
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(values, size=width, mode="nearest"))
