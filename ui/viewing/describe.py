"""What the viewer must know of an image before it has the voxels: geometry, unit, windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.imaging.slices import AUTO_PERCENTILES, WINDOWS

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

MAX_SAMPLED = 2_000_000  # voxels that a window is taken from: more change nothing that an eye sees


def image_info(volume: Volume) -> dict[str, Any]:
    """Return an image's facts as JSON data.

    `units` is empty where nobody knows what a value means; `spacing_mm` is None where the image has no millimetres,
    and the viewer then measures nothing.
    """
    low, high, least, most = value_range(volume)
    has_spacing = volume.spacing_source is not None
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    return {
        "kind": "film" if volume.dims == 2 else "volume",
        "shape": list(volume.shape),
        "is_colour": volume.is_colour,
        "modality": volume.modality,
        "units": volume.units,
        "spacing_mm": [round(float(s), 6) for s in steps] if has_spacing else None,
        "spacing_source": volume.spacing_source or "",
        "is_magnified": volume.spacing_source == "ImagerPixelSpacing",
        "orientation_known": volume.orientation_known,
        "affine_ras": [[float(v) for v in row] for row in volume.affine_ras],
        "range": [least, most],
        "window": [low, high],
        "presets": presets(volume, (low, high)),
        "dtype": "uint8" if volume.is_colour else stored_type(volume).name,
        "synthetic": "SyntheticNote" in volume.header,
    }


def value_range(volume: Volume) -> tuple[float, float, float, float]:
    """Return where the picture is black and white at first, and the least and the greatest value."""
    if volume.is_colour:
        return 0.0, 255.0, 0.0, 255.0
    values = volume.array[_finite_sample(volume)]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not values.size:
        return 0.0, 1.0, 0.0, 1.0
    least, most = float(values.min()), float(values.max())
    if volume.units == "HU":
        chosen = WINDOWS["lung" if volume.body_part == "CHEST" else "soft tissue"]
        return chosen.level - chosen.width / 2, chosen.level + chosen.width / 2, least, most
    low, high = (float(v) for v in np.percentile(values, AUTO_PERCENTILES))
    return (low, high, least, most) if high > low else (least, max(most, least + 1), least, most)


def _finite_sample(volume: Volume) -> tuple[slice, ...]:
    step = max(1, round((volume.array.size / MAX_SAMPLED) ** (1 / volume.dims)))
    third = step if volume.dims == 3 else 1
    return slice(None, None, step), slice(None, None, step), slice(None, None, third)


def presets(volume: Volume, first: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the named windows that make sense for an image: those of CT need Hounsfield units."""
    if volume.is_colour:
        return []
    named = [
        {"name": name, "window": [w.level - w.width / 2, w.level + w.width / 2]}
        for name, w in WINDOWS.items()
        if volume.units == "HU"
    ]
    return named or [{"name": "automatic", "window": list(first)}]


def stored_type(volume: Volume) -> np.dtype[Any]:
    """Return the type in which voxels are sent: 16 bits where that loses nothing, else 32-bit floats."""
    kind, array = volume.array.dtype, volume.array
    if kind in (np.dtype(np.uint8), np.dtype(np.int16)):
        return kind
    if kind == np.bool_:
        return np.dtype(np.uint8)
    if kind.kind in "iu" and array.min() >= -32768 and array.max() <= 32767:
        return np.dtype(np.int16)
    if kind.kind == "f":
        whole = np.isfinite(array).all() and bool((array == np.rint(array)).all())
        if whole and abs(array).max() <= 32767:
            return np.dtype(np.int16)
    return np.dtype(np.float32)
