"""What nnU-Net does to an image before its network and to the network's answer after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.volume import AnyArray, Volume

FloatArray = NDArray[np.float32]

ANISOTROPY = 3.0
"""Ratio of spacings from which nnU-Net resamples the coarse axis by itself.

Source: Isensee et al., Nature Methods 18 (2021) 203.
"""


@dataclass(frozen=True)
class Plans:
    """What of plans.json inference needs, for one configuration."""

    patch_size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    """Of the network's input, in its own order of axes."""
    transpose: tuple[int, int, int]
    """Order of axes of the network's input, from axes (k, j, i) of the file."""
    normalisation: str
    """Name of nnU-Net's scheme for the one channel."""
    masked: bool
    """Whether statistics are taken where the image is not zero."""
    intensity: Mapping[str, float]
    """Of the training data's foreground: mean, std, percentile_00_5, percentile_99_5."""
    order: int
    """Of the spline with which images are resampled."""
    order_z: int
    """The same along a coarse axis."""
    network_class: str
    network: Mapping[str, Any]
    torch_classes: frozenset[str]
    """Keys of `network` that name a layer of torch."""

    @classmethod
    def read(cls, plans: Mapping[str, Any], configuration: str, folder: str) -> Plans:
        """Take a configuration out of plans.json.

        Raises:
            UnsupportedError: it is not there, is 2-D or a cascade, or is of an older nnU-Net.
            UnavailableError: the plans lack a key.
        """
        configurations = plans.get("configurations", {})
        chosen = _inherited(configurations, configuration)
        if not chosen:
            there = ", ".join(configurations) or "none"
            raise UnsupportedError(f"{folder} has no configuration {configuration!r}; there are: {there}")
        if chosen.get("previous_stage"):
            raise UnsupportedError(f"{folder}: cascades are not supported; choose '3d_fullres' or '3d_lowres'")
        if len(chosen.get("patch_size", ())) != 3 or "architecture" not in chosen:
            raise UnsupportedError(f"{folder}: a 3-D configuration with plans of nnU-Net 2.2 or later is needed")
        try:
            return cls._of(plans, chosen)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UnavailableError(f"{folder}/plans.json is incomplete: {error!r}") from None

    @classmethod
    def _of(cls, plans: Mapping[str, Any], chosen: Mapping[str, Any]) -> Plans:
        architecture = chosen["architecture"]
        properties = plans["foreground_intensity_properties_per_channel"]["0"]
        resampling = chosen.get("resampling_fn_data_kwargs", {})
        a, b, c = (int(n) for n in plans["transpose_forward"])
        return cls(
            patch_size=tuple(int(n) for n in chosen["patch_size"]),
            spacing_mm=tuple(float(n) for n in chosen["spacing"]),
            transpose=(a, b, c),
            normalisation=str(chosen["normalization_schemes"][0]),
            masked=bool(chosen["use_mask_for_norm"][0]),
            intensity={str(k): float(v) for k, v in properties.items()},
            order=int(resampling.get("order", 3)),
            order_z=int(resampling.get("order_z", 0)),
            network_class=str(architecture["network_class_name"]),
            network=dict(architecture["arch_kwargs"]),
            torch_classes=frozenset(architecture.get("_kw_requires_import", ())),
        )

    def memory_bytes(self, volume: Volume, classes: int) -> float:
        """Estimate what logits at the network's spacing and at the image's need, in bytes."""
        here = float(np.prod(volume.shape))
        spacing = np.array(volume.spacing_mm)
        there = here * float(np.prod(spacing) / np.prod(self.spacing_mm))
        return 4 * (2 * classes * there + 3 * here) + 8 * here


def _inherited(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    seen: set[str] = set()
    while name in configurations and name not in seen:
        seen.add(name)
        found = {**configurations[name], **found}
        name = configurations[name].get("inherits_from", "")
    return found


class Undo(NamedTuple):
    """How to bring the network's answer back to the image."""

    box: tuple[slice, ...]
    """Where the crop lies, in transposed axes."""
    cropped: tuple[int, ...]
    full: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    """Of the image, in transposed axes."""


def prepared(volume: Volume, plans: Plans) -> tuple[FloatArray, Undo]:
    """Return the network's input, float32 (1, *spatial), and how to undo what was done.

    Raises:
        BadInputError: every voxel is zero.
    """
    file_order = np.asarray(volume.array, np.float32).transpose(2, 1, 0)
    data = file_order.transpose(plans.transpose)
    spacing = tuple(volume.spacing_mm[::-1][axis] for axis in plans.transpose)
    box, inside = _nonzero(data)
    cropped = np.array(data[box], np.float32)
    normalised = _normalised(cropped, inside, plans)
    shape = tuple(
        round(n * have / want) for n, have, want in zip(cropped.shape, spacing, plans.spacing_mm, strict=True)
    )
    resampled = resample(normalised, shape, spacing, plans.spacing_mm, plans.order, plans.order_z)
    return resampled[None], Undo(box, cropped.shape, data.shape, spacing)


def _nonzero(data: FloatArray) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """Return the box around what is not zero, and what in it counts as inside."""
    from scipy.ndimage import binary_fill_holes

    inside = np.asarray(binary_fill_holes(data != 0))
    if not inside.any():
        raise BadInputError("every voxel of the image is zero: there is nothing to outline")
    spans = []
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(along[0]), int(along[-1]) + 1))
    box = tuple(spans)
    return box, inside[box]


def _normalised(data: FloatArray, inside: NDArray[np.bool_], plans: Plans) -> FloatArray:
    """Scale values as the network was trained; `data` may be changed."""
    match plans.normalisation:
        case "CTNormalization":
            known = plans.intensity
            np.clip(data, known["percentile_00_5"], known["percentile_99_5"], out=data)
            return np.asarray((data - known["mean"]) / max(known["std"], 1e-8), np.float32)
        case "ZScoreNormalization":
            where = inside if plans.masked else np.ones_like(inside)
            mean, deviation = float(data[where].mean()), float(data[where].std())
            data[where] = (data[where] - mean) / max(deviation, 1e-8)
            return data
        case "RescaleTo01Normalization":
            low = float(data.min())
            return np.asarray((data - low) / max(float(data.max()) - low, 1e-8), np.float32)
        case "NoNormalization":
            return data
    raise UnsupportedError(f"the plans name the normalisation {plans.normalisation!r}, which is not supported")


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


def labels_of_logits(logits: FloatArray, undo: Undo, plans: Plans) -> AnyArray:
    """Return labels on the image's own axes (i, j, k) from logits (classes, *spatial).

    Logits are resampled class by class and only the best so far is kept, so that memory holds two of them and not all.
    """
    best = np.full(undo.cropped, -np.inf, np.float32)
    labels = np.zeros(undo.cropped, np.int16)
    for number, channel in enumerate(logits):
        here = resample(channel, undo.cropped, plans.spacing_mm, undo.spacing_mm, 1, 0)
        better = here > best
        best[better] = here[better]
        labels[better] = number
    full = np.zeros(undo.full, np.int16)
    full[undo.box] = labels
    back = np.argsort(plans.transpose)
    return np.asarray(full.transpose([int(a) for a in back]).transpose(2, 1, 0))
