"""Heat maps of explanations, for the viewer: their values, and the colours that they lie in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError
from ui.viewing.convert import nifti_of

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from ui.viewing.pictures import Pictures

MAX_OPEN = 4
FloatArray = np.ndarray[Any, np.dtype[np.float32]]


class Heats:
    """Finds heat maps by step and file, and remembers the last ones: a slider asks for many slices of one map."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, tuple[Volume, float]] = OrderedDict()

    def opened(self, reading: str, step: str, file: str) -> tuple[Volume, float]:
        """Return a map and its greatest value.

        Raises:
            BadInputError: the step made no such map.
        """
        from tools.imaging.read import read_image

        workspace = self._pictures.workspace(reading)
        if file not in workspace.artifact(step).data.get("files", ()) or not file.endswith(".nii.gz"):
            raise BadInputError(f"file must be a heat map of step {step}, got {file!r}")
        path = workspace.step_folder(step) / file
        with self._lock:
            if path not in self._open:
                made = read_image(path)
                self._open[path] = made, float(np.nanmax(made.array, initial=0.0))
                while len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(path)
            return self._open[path]

    def facts(self, reading: str, step: str, file: str) -> dict[str, Any]:
        """Return what the legend says: the values at which a map is clear and solid."""
        return {"range": [0.0, self.opened(reading, step, file)[1]]}

    def nifti(self, reading: str, step: str, file: str) -> Path:
        """Return a map as NIfTI, not packed; written once."""
        made, _ = self.opened(reading, step, file)
        return nifti_of(made, self._pictures.folder(reading) / f"{step}-{file.removesuffix('.nii.gz')}-heat.nii")

    def named(self, reading: str, names: list[str], shape: tuple[int, ...]) -> list[tuple[FloatArray, float]]:
        """Return maps and their greatest values, for pictures that the server draws.

        Args:
            reading: the reading's id.
            names: step/file of each.
            shape: of the image that they are to lie over.

        Raises:
            BadInputError: no such map, or it is on another grid.
        """
        found = []
        for name in names:
            step, _, file = name.partition("/")
            made, most = self.opened(reading, step, file)
            if made.shape != shape:
                raise BadInputError(
                    f"heat map {name} has {made.shape} voxels, its image {shape}: it cannot be laid over"
                )
            found.append((np.asarray(made.array, np.float32), most))
        return found


def colours_of(plane: Any, most: float) -> FloatArray:
    """Return red, green, blue (0 to 255) and strength (0 to 1) of each place: yellow to red, clear at 0 and below.

    Args:
        plane: values, in any unit.
        most: the value that is solid.
    """
    share = np.clip(np.nan_to_num(np.asarray(plane, np.float32)) / max(most, 1e-9), 0, 1)
    return np.stack([np.full_like(share, 255), 220 * (1 - share), np.zeros_like(share), share], axis=-1)
