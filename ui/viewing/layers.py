"""Masks of a reading as label images: packed once for each step, then kept."""

from __future__ import annotations

import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.changes import CHANGE_MASKS, Change
from tools.errors import BadInputError
from tools.workspace import write_atomically
from ui.viewing.convert import layers_of, region_json, write_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.imaging.volume import BoolArray, Volume
    from tools.workspace import Workspace
    from ui.viewing.pictures import Pictures


CHANGE_COLOUR = 1  # gained and lost as in the change map's picture, where "unchanged" has the first
MAX_OPEN = 4  # label images: without WebGL2 a slider asks for many slices of one


class Layers:
    """Converts masks for the viewer and remembers where they lie."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._read = lru_cache(maxsize=MAX_OPEN)(_read)

    def listed(self, reading: str, mask: str) -> list[dict[str, Any]]:
        """Return the layers of a step or of an attached mask: file names and regions.

        Raises:
            ToolError: no such mask, or one of its files cannot be read on the grid of its image.
        """
        folder = self._pictures.folder(reading)
        listing = folder / f"{_plain(mask)}-layers.json"
        with self._lock:
            if not listing.is_file():
                write_atomically(listing, json.dumps(self._made(reading, mask, folder)))
        found: list[dict[str, Any]] = json.loads(listing.read_text(encoding="utf-8"))
        return found

    def file(self, reading: str, name: str) -> Path:
        """Return a label image."""
        path = self._pictures.folder(reading) / Path(name).name
        if not path.is_file() or not path.name.endswith("-labels.nii.gz"):
            raise BadInputError(f"{name!r} is no label image of this reading")
        return path

    def masks(self, reading: str, regions: list[str]) -> list[tuple[BoolArray, tuple[int, int, int]]]:
        """Return voxels and colours of regions, for pictures that the server draws.

        Args:
            reading: the reading's id.
            regions: step/target of each.
        """
        found = []
        for region in regions:
            mask = region.partition("/")[0]
            for layer in self.listed(reading, mask):
                for entry in layer["regions"]:
                    if entry["id"] == region:
                        labels = self._labels(reading, layer["file"])
                        red, green, blue = entry["colour"]
                        found.append((labels == entry["label"], (red, green, blue)))
        return found

    def _labels(self, reading: str, name: str) -> Any:
        return self._read(self.file(reading, name))

    def _made(self, reading: str, mask: str, folder: Path) -> list[dict[str, Any]]:
        workspace = self._pictures.workspace(reading)
        of, found, first_colour = _found(workspace, mask)
        image = workspace.volume(of)
        masks = [(target, _on_grid(target, inside, image)) for target, inside in found]
        made = []
        for number, layer in enumerate(layers_of(mask, masks, first_colour)):
            name = f"{_plain(mask)}-{number}-labels.nii.gz"
            write_labels(layer, image, folder / name)
            made.append({"file": name, "regions": [region_json(r) for r in layer.regions]})
        return made


def _found(workspace: Workspace, mask: str) -> tuple[str, Iterable[tuple[str, BoolArray]], int]:
    """Return the image that masks lie on, each with its name, and where in the palette their colours begin."""
    if mask.startswith("s") and workspace.kind_of(mask) == "change":
        folder = workspace.step_folder(mask)
        parts = [(name, _read(folder / file) > 0) for name, file in CHANGE_MASKS.items()]
        return workspace.result(mask, Change).current, parts, CHANGE_COLOUR
    named = ((target, inside) for target, inside, _ in workspace.masks(mask))
    return workspace.image_of(mask), named, _first_colour(workspace, mask)


def _read(path: Path) -> Any:
    from tools.imaging.read import read_image

    return read_image(path).array


def _on_grid(target: str, inside: BoolArray, image: Volume) -> BoolArray:
    if inside.shape != image.shape:
        raise BadInputError(
            f"mask {target!r} has {inside.shape} voxels, its image {image.shape}: it cannot be laid over"
        )
    return inside


def _plain(mask: str) -> str:
    if not mask.isalnum():
        raise BadInputError(f"a mask's id has letters and digits, got {mask!r}")
    return mask


def _first_colour(workspace: Workspace, mask: str) -> int:
    """Return how many masks come before, so that every step has colours of its own."""
    before = 0
    for artifact in workspace.artifacts():
        if artifact.id == mask:
            return before
        if artifact.kind == "mask":
            before += len(artifact.data.get("masks", ()))
    return before
