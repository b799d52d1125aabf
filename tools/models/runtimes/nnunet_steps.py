"""What nnU-Net does to an image before its network and to the network's answer after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.volume import AnyArray, Volume
from tools.models.runtimes.nnunet_plans import Channel, Labels, Plans

FloatArray = NDArray[np.float32]

ANISOTROPY = 3.0
"""Ratio of spacings from which nnU-Net resamples the coarse axis by itself.

Source: Isensee et al., Nature Methods 18 (2021) 203.
"""


class Undo(NamedTuple):
    """How to bring the network's answer back to the image."""

    box: tuple[slice, ...]
    """Where the crop lies, in transposed axes."""
    cropped: tuple[int, ...]
    full: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    """Of the image, in transposed axes."""


def prepared(volumes: Sequence[Volume], plans: Plans) -> tuple[FloatArray, Undo]:
    """Return the network's input, float32 (channels, *spatial), and how to undo what was done.

    Args:
        volumes: on one grid, one a channel of the plans.
        plans: how the network was trained.

    Raises:
        BadInputError: every voxel is zero.
    """
    data = [np.asarray(v.array, np.float32).transpose(2, 1, 0).transpose(plans.transpose) for v in volumes]
    spacing = plans.transposed(volumes[0].spacing_mm)
    box, inside = _nonzero(data)
    wanted = plans.spacing_mm(spacing)
    cropped = tuple(span.stop - span.start for span in box)
    shape = tuple(round(n * have / want) for n, have, want in zip(cropped, spacing, wanted, strict=True))
    resampled = [
        resample(
            _normalised(np.array(channel[box], np.float32), inside, how),
            shape, spacing, wanted, plans.order, plans.order_z,
        )
        for channel, how in zip(data, plans.channels, strict=True)
    ]  # fmt: skip
    return np.stack(resampled), Undo(box, cropped, data[0].shape, spacing)


def _nonzero(data: Sequence[FloatArray]) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """Return the box around what is not zero in any channel, and what in it counts as inside."""
    from scipy.ndimage import binary_fill_holes

    inside = np.asarray(binary_fill_holes(np.any([channel != 0 for channel in data], axis=0)))
    if not inside.any():
        raise BadInputError("every voxel of the image is zero: there is nothing to outline")
    spans = []
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(along[0]), int(along[-1]) + 1))
    box = tuple(spans)
    return box, inside[box]


def _normalised(data: FloatArray, inside: NDArray[np.bool_], how: Channel) -> FloatArray:
    """Scale values as the network was trained; `data` may be changed."""
    match how.scheme:
        case "CTNormalization":
            known = how.intensity
            np.clip(data, known["percentile_00_5"], known["percentile_99_5"], out=data)
            return np.asarray((data - known["mean"]) / max(known["std"], 1e-8), np.float32)
        case "ZScoreNormalization":
            where = inside if how.masked else np.ones_like(inside)
            mean, deviation = float(data[where].mean()), float(data[where].std())
            data[where] = (data[where] - mean) / max(deviation, 1e-8)
            return data
        case "RescaleTo01Normalization":
            low = float(data.min())
            return np.asarray((data - low) / max(float(data.max()) - low, 1e-8), np.float32)
        case "RGBTo01Normalization":
            return data / np.float32(255)
        case "NoNormalization":
            return data
    raise UnsupportedError(f"the plans name the normalisation {how.scheme!r}, which is not supported")


def resample(
    data: FloatArray,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    to_mm: Sequence[float],
    order: int,
    order_z: int,
) -> FloatArray:
    """Resample one channel; a coarse axis is resampled by itself, with its own order, as nnU-Net does."""
    from skimage.transform import resize

    if tuple(shape) == data.shape:
        return data
    options = {"mode": "edge", "anti_aliasing": False, "preserve_range": True}
    axis = _coarse_axis(spacing_mm, to_mm)
    if axis is None:
        return np.asarray(resize(data, tuple(shape), order, **options), np.float32)
    planes = np.moveaxis(data, axis, 0)
    inplane = tuple(n for a, n in enumerate(shape) if a != axis)
    drawn = np.stack([resize(plane, inplane, order, **options) for plane in planes])
    if len(planes) != shape[axis]:
        drawn = _along(drawn, int(shape[axis]), order_z)
    return np.asarray(np.moveaxis(drawn, 0, axis), np.float32)


def _along(planes: AnyArray, count: int, order: int) -> AnyArray:
    """Resample the first axis to a number of planes, at the centres of the new ones."""
    from scipy.ndimage import map_coordinates

    places = (np.arange(count) + 0.5) * len(planes) / count - 0.5
    if order == 0:
        return np.asarray(planes[np.clip(np.rint(places).astype(int), 0, len(planes) - 1)])
    grid = np.meshgrid(places, *(np.arange(n) for n in planes.shape[1:]), indexing="ij")
    return np.asarray(map_coordinates(planes, grid, order=order, mode="nearest"))


def _coarse_axis(spacing_mm: Sequence[float], to_mm: Sequence[float]) -> int | None:
    for spacing in (spacing_mm, to_mm):
        if max(spacing) / min(spacing) > ANISOTROPY:
            coarse = [axis for axis, step in enumerate(spacing) if step == max(spacing)]
            return coarse[0] if len(coarse) == 1 else None
    return None


def labels_of_logits(logits: FloatArray, undo: Undo, plans: Plans, labels: Labels) -> AnyArray:
    """Return labels on the image's own axes (i, j, k) from logits (outputs, *spatial).

    Logits are resampled one output at a time, so that memory holds two of them and not all.
    """
    found = np.zeros(undo.cropped, np.int16)
    best = np.full(undo.cropped, -np.inf, np.float32)
    for number, channel in enumerate(logits):
        here = resample(channel, undo.cropped, plans.spacing_mm(undo.spacing_mm), undo.spacing_mm, 1, 0)
        if labels.regions:
            found[here > 0] = labels.regions[number]  # sigmoid above one half
            continue
        better = here > best
        best[better] = here[better]
        found[better] = number
    full = np.zeros(undo.full, np.int16)
    full[undo.box] = found
    back = np.argsort(plans.transpose)
    return np.asarray(full.transpose([int(a) for a in back]).transpose(2, 1, 0))
