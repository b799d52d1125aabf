"""Voxels as the browser takes them: NIfTI in the image's own geometry, films as plain pixels, masks as labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.imaging.render import PALETTE
from tools.workspace import writing
from ui.viewing.describe import stored_type

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume

MAX_LABELS = 254


@dataclass(frozen=True)
class Region:
    """One mask as the viewer draws it."""

    id: str
    """step/target, for instance s1/lungs."""
    name: str
    label: int
    """Its value in the label image; from 1."""
    colour: tuple[int, int, int]
    voxels: int
    at: tuple[int, int, int]
    """The voxel to go to: inside the mask, on the axial slice where it is largest."""
    lower: tuple[int, int, int]
    upper: tuple[int, int, int]
    """First and last voxel of its box."""


@dataclass(frozen=True)
class Layer:
    """Masks that do not overlap, as one label image."""

    labels: np.ndarray[Any, np.dtype[np.uint8]]
    regions: tuple[Region, ...]


def nifti_of(volume: Volume, path: Path) -> Path:
    """Write a volume as uncompressed NIfTI, once: unpacking costs the browser more than loopback does.

    Raises:
        UnavailableError: the disk is full or the folder can't be written.
    """
    from tools.imaging.nifti import write_nifti

    if path.is_file():
        return path
    if volume.is_colour:
        _write_colour(volume, path)
    else:
        write_nifti(path, volume.array.astype(stored_type(volume), copy=False), volume)
    return path


def _write_colour(volume: Volume, path: Path) -> None:
    import nibabel as nib

    rgb = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    packed = np.ascontiguousarray(volume.array).view(rgb).reshape(volume.shape)
    image = nib.Nifti1Image(packed, volume.affine_ras)
    temporary = path.with_name(f".{path.name}")
    with writing(path):
        nib.save(image, temporary)
        temporary.replace(path)


def pixels_of(volume: Volume) -> bytes:
    """Return a film's pixels row by row from the top left, little-endian; colour as RGB.

    Axis i of a picture runs to the right, axis j down (see `tools.imaging.volume`).
    """
    if volume.is_colour:
        return np.ascontiguousarray(volume.array[:, :, 0].swapaxes(0, 1)).tobytes()
    plane = volume.array[:, :, 0].T.astype(stored_type(volume).newbyteorder("<"))
    return np.ascontiguousarray(plane).tobytes()


def layers_of(step: str, masks: Iterable[tuple[str, BoolArray]], first_colour: int = 0) -> list[Layer]:
    """Pack masks into as few label images as their overlaps allow.

    Args:
        step: id of the step or attachment that the masks belong to.
        masks: target and voxels inside, all of one shape.
        first_colour: where in the palette to begin, so that two steps look different.
    """
    packed: list[tuple[np.ndarray[Any, np.dtype[np.uint8]], list[Region]]] = []
    for number, (target, mask) in enumerate(masks):
        labels, regions = _free(packed, mask)
        colour = PALETTE[(first_colour + number) % len(PALETTE)]
        region = region_of(f"{step}/{target}", target, mask, len(regions) + 1, colour)
        labels[mask] = region.label
        regions.append(region)
    return [Layer(labels, tuple(regions)) for labels, regions in packed]


def _free(
    packed: list[tuple[np.ndarray[Any, np.dtype[np.uint8]], list[Region]]], mask: BoolArray
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[Region]]:
    for labels, regions in packed:
        if len(regions) < MAX_LABELS and not labels[mask].any():
            return labels, regions
    packed.append((np.zeros(mask.shape, np.uint8, order="F"), []))
    return packed[-1]


def region_of(region: str, target: str, mask: BoolArray, label: int, colour: tuple[int, int, int]) -> Region:
    """Return what the viewer must know of one mask."""
    from tools.claims import readable

    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not all(span.size for span in spans):
        middle = tuple(n // 2 for n in mask.shape)
        empty = (int(middle[0]), int(middle[1]), int(middle[2]))
        return Region(region, readable(target), label, colour, 0, empty, empty, empty)
    (i0, i1), (j0, j1), (k0, k1) = ((int(s[0]), int(s[-1])) for s in spans)
    return Region(
        region, readable(target), label, colour, int(np.count_nonzero(mask)), _inside(mask), (i0, j0, k0), (i1, j1, k1)
    )


def _inside(mask: BoolArray) -> tuple[int, int, int]:
    """Return the voxel of the mask nearest to its middle on the slice where it is largest."""
    k = int(np.count_nonzero(mask, axis=(0, 1)).argmax())
    inside = np.argwhere(mask[:, :, k])
    i, j = inside[np.square(inside - inside.mean(0)).sum(1).argmin()]
    return int(i), int(j), k


def region_json(region: Region) -> dict[str, Any]:
    """Return a region as JSON data."""
    return {**region.__dict__}


def write_labels(layer: Layer, like: Volume, path: Path) -> None:
    """Write a label image on the grid of its image."""
    from tools.imaging.nifti import write_nifti

    write_nifti(path, layer.labels, like)


def key_of(parts: Mapping[str, object]) -> str:
    """Return a short name for a converted file that depends on everything it was made from."""
    said = "\n".join(f"{name}={parts[name]}" for name in sorted(parts))
    return hashlib.sha256(said.encode()).hexdigest()[:20]
