"""Images as find_similar sees them: one picture an image, put beside the reports they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import ToolError

if TYPE_CHECKING:
    from knowledge.images import ImageEncoder, Picture
    from knowledge.search import Knowledge
    from tools.imaging.volume import Volume

_BATCH = 32
_LOW, _HIGH = 0.5, 99.5  # percentiles shown as black and white: markers and borders don't set the window


def picture_of(volume: Volume) -> Picture:
    """Return an image as one picture, float32 (rows, columns), 0 black to 1 white.

    A film is shown whole; of a volume the middle slice along its third axis.

    Args:
        volume: axes (i, j, k); i runs along the columns.
    """
    array = np.asarray(volume.array, dtype=np.float32)
    if volume.is_colour:
        array = array.mean(axis=-1)
    plane = array[:, :, array.shape[2] // 2].T
    low, high = np.percentile(plane, [_LOW, _HIGH])
    if high <= low:
        return np.zeros(plane.shape, dtype=np.float32)
    picture: Picture = np.clip((plane - low) / (high - low), 0, 1).astype(np.float32)
    return picture


def add_images(
    knowledge: Knowledge,
    encoder: ImageEncoder,
    images: Iterable[tuple[str, str, Path]],
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[int, list[str]]:
    """Store images beside their reports.

    Args:
        knowledge: the store; its reports need not be there yet.
        encoder: makes the vectors.
        images: image id, report id, and the file or folder of the image.
        on_progress: called with images done.

    Returns:
        How many were stored, and a line for each that could not be read.
    """
    from tools.imaging.read import read_image

    index = knowledge.images(encoder)
    batch: list[tuple[str, str, Picture]] = []
    bad: list[str] = []
    stored = 0
    for done, (image_id, report_id, path) in enumerate(images, 1):
        try:
            batch.append((image_id, report_id, picture_of(read_image(path))))
        except ToolError as error:
            bad.append(f"{image_id}: {error}")
        if len(batch) == _BATCH:
            index.put(batch)
            stored += len(batch)
            batch = []
        on_progress(done)
    index.put(batch)
    return stored + len(batch), bad
