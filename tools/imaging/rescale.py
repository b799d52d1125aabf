"""Stored integers to values: slope and intercept in the smallest type that holds them."""

from __future__ import annotations

import numpy as np

from tools.imaging.volume import AnyArray

_INTEGER_TYPES = (np.uint8, np.int16, np.uint16, np.int32)


def rescaled(stored: AnyArray, slope: float, intercept: float) -> AnyArray:
    """Return slope * stored + intercept.

    Args:
        stored: any shape, integers or floats.
        slope: value per stored unit; not 0.
        intercept: value of stored 0.

    Returns:
        `stored` itself for slope 1 and intercept 0; the smallest of uint8, int16, uint16, int32 that holds the values
        when stored, slope and intercept are whole numbers; float32 otherwise.
    """
    if slope == 1 and intercept == 0:
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [slope * int(edge) + intercept for edge in (stored.min(), stored.max())]
        for kind in _INTEGER_TYPES:
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return _in_steps(stored, int(slope), int(intercept), np.dtype(kind))
    return _in_steps(stored, slope, intercept, np.dtype(np.float32))


def _in_steps(stored: AnyArray, slope: float, intercept: float, dtype: np.dtype[np.generic]) -> AnyArray:
    """Rescale slice by slice along the last axis, so that no wide copy of the whole array is made."""
    out = np.empty_like(stored, dtype=dtype)
    wide = np.int64 if dtype.kind in "iu" else np.float64
    for index in range(stored.shape[-1]):
        out[..., index] = stored[..., index].astype(wide) * slope + intercept
    return out
