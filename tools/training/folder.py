"""Reads a folder of labelled images: images/ and labels/ with masks of the same names, or one subfolder a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tools.errors import BadInputError, ToolError
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.training.classification import LabelledImage
from tools.training.segmentation import Example

IMAGES, MASKS = "images", "labels"


def is_segmentation(folder: Path) -> bool:
    """Return whether a folder holds images with masks; else it has one subfolder a label.

    Raises:
        BadInputError: the folder is missing or is neither.
    """
    if not folder.is_dir():
        raise BadInputError(f"DATA must be a folder, got {folder.name!r}, which is none")
    if (folder / IMAGES).is_dir() and (folder / MASKS).is_dir():
        return True
    if sum(f.is_dir() for f in folder.iterdir()) >= 2:
        return False
    raise BadInputError(
        f"{folder.name!r} must hold the folders {IMAGES!r} and {MASKS!r} (masks of the same names), or one folder a "
        "label with its images in it"
    )


def read_pairs(folder: Path, modality: str = "") -> list[Example]:
    """Read images with masks of the same names.

    Args:
        folder: with `images` and `labels`.
        modality: of images that do not say it, such as NIfTI; "CT" means that values are Hounsfield units.

    Raises:
        BadInputError: an image has no mask, or the mask lies on another grid.
    """
    found = []
    for image in _files(folder / IMAGES):
        mask = next((f for f in _files(folder / MASKS) if _stem(f) == _stem(image)), None)
        if mask is None:
            raise BadInputError(f"{MASKS}: no mask for {IMAGES}/{image.name}; name it {_stem(image)}.nii.gz")
        volume, grid = _read(image, modality), read_image(mask)
        if not volume.same_grid(grid):
            raise BadInputError(
                f"{MASKS}/{mask.name} does not lie on the grid of its image: {grid.shape} against {volume.shape}, or "
                "other positions"
            )
        found.append(Example(image.name, volume, np.asarray(grid.array != 0)))
    return found


def read_labelled(folder: Path, modality: str = "") -> list[LabelledImage]:
    """Read images whose label is the name of their folder; for `modality` see `read_pairs`."""
    return [
        LabelledImage(f"{label.name}/{file.name}", _read(file, modality), label.name)
        for label in sorted(f for f in folder.iterdir() if f.is_dir())
        for file in _files(label)
    ]


def _read(file: Path, modality: str) -> Volume:
    try:
        volume = read_image(file)
    except ToolError as error:
        raise BadInputError(f"{file.parent.name}/{file.name} cannot be read: {error}") from error
    if volume.modality or not modality:
        return volume
    return replace(volume, modality=modality, units="HU" if modality == "CT" else volume.units)


def _files(folder: Path) -> Iterator[Path]:
    return (f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith("."))


def _stem(file: Path) -> str:
    return file.name.partition(".")[0]
