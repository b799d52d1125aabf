"""What goes wrong with images of a modality, at five severities: to see whether a model's result holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import Volume

FloatArray = NDArray[np.float32]
Corrupt = Callable[[FloatArray, float, np.random.Generator], FloatArray]

SEVERITIES = (1, 2, 3, 4, 5)
"""As in Hendrycks and Dietterich, ICLR 2019; the steps below are ours."""


def _noise(values: FloatArray, sd: float, rng: np.random.Generator) -> FloatArray:
    return values + rng.normal(0, sd, values.shape).astype(np.float32)


def _relative_noise(values: FloatArray, share: float, rng: np.random.Generator) -> FloatArray:
    return _noise(values, share * _range(values), rng)


def _blur(values: FloatArray, sigma_px: float, rng: np.random.Generator) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, (sigma_px, sigma_px, 0)), dtype=np.float32)


def _offset(values: FloatArray, by: float, rng: np.random.Generator) -> FloatArray:
    return values + np.float32(by)


def _gamma(values: FloatArray, power: float, rng: np.random.Generator) -> FloatArray:
    low, span = float(values.min()), _range(values)
    return np.asarray(low + span * ((values - low).clip(0) / span) ** power, dtype=np.float32)


def _bias_field(values: FloatArray, amplitude: float, rng: np.random.Generator) -> FloatArray:
    """Multiply by a smooth field from 1 − amplitude to 1 + amplitude along a random direction."""
    direction = rng.normal(size=3)
    grids = np.ogrid[tuple(slice(-1, 1, n * 1j) if n > 1 else slice(0, 1) for n in values.shape)]
    field = sum(d * g for d, g in zip(direction, grids, strict=True))
    return np.asarray(values * (1 + amplitude * field / max(float(np.abs(field).max()), 1e-9)), dtype=np.float32)


def _range(values: FloatArray) -> float:
    low, high = (float(p) for p in np.percentile(values[::2, ::2], (1, 99)))
    return high - low if high > low else 1.0


_CT: Mapping[str, tuple[Corrupt, tuple[float, ...]]] = {
    "noise, sd in HU": (_noise, (10, 20, 40, 80, 160)),
    "blur, sigma in pixels": (_blur, (0.5, 1.0, 1.5, 2.0, 3.0)),
    "offset in HU": (_offset, (5, 10, 20, 40, 80)),
}
_MR: Mapping[str, tuple[Corrupt, tuple[float, ...]]] = {
    "noise, share of the range": (_relative_noise, (0.01, 0.02, 0.04, 0.08, 0.16)),
    "blur, sigma in pixels": (_blur, (0.5, 1.0, 1.5, 2.0, 3.0)),
    "bias field, amplitude": (_bias_field, (0.05, 0.1, 0.2, 0.4, 0.6)),
}
_FILM: Mapping[str, tuple[Corrupt, tuple[float, ...]]] = {
    "noise, share of the range": (_relative_noise, (0.01, 0.02, 0.04, 0.08, 0.16)),
    "blur, sigma in pixels": (_blur, (1.0, 2.0, 3.0, 4.0, 6.0)),
    "gamma": (_gamma, (1.1, 1.25, 1.5, 2.0, 3.0)),
}
_BY_MODALITY = MappingProxyType({"CT": _CT, "MR": _MR})


def kinds(modality: str) -> tuple[str, ...]:
    """Return the names of the corruptions of a modality."""
    return tuple(_BY_MODALITY.get(modality, _FILM))


def amount(modality: str, kind: str, severity: int) -> float:
    """Return how much a severity is, in the unit that the kind names."""
    return _BY_MODALITY.get(modality, _FILM)[kind][1][severity - 1]


def corrupted(volume: Volume, kind: str, severity: int, seed: int) -> Volume:
    """Return a worse copy of an image; its geometry, modality and units stay.

    Args:
        volume: the image, one value a voxel.
        kind: one of `kinds(volume.modality)`.
        severity: 1 (hardly seen) to 5.
        seed: of whatever is drawn.
    """
    corrupt, steps = _BY_MODALITY.get(volume.modality, _FILM)[kind]
    values = np.asarray(volume.array, dtype=np.float32)
    made = corrupt(values, steps[severity - 1], np.random.default_rng(seed))
    if np.issubdtype(volume.array.dtype, np.integer):
        info = np.iinfo(volume.array.dtype)
        made = np.clip(np.rint(made), info.min, info.max)
    return volume.with_array(made.astype(volume.array.dtype))
