"""A 2-D prompted segmenter carried through a volume: each slice is prompted with the box of its neighbour's outline.

Carrying stops where the segmenter is no longer sure, where the outline vanishes, or where it leaps to something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tools.errors import BadInputError
from tools.imaging.geometry import orientation_codes
from tools.imaging.volume import AnyArray, BoolArray, Volume

if TYPE_CHECKING:
    from tools.models.runtimes.base import Progress, Prompt
    from tools.places import Position

Point = tuple[float, float]

MARGIN = 0.05  # of a box's side, added on each side for the next slice: outlines may grow
MIN_OVERLAP = 0.3  # Dice of neighbouring outlines below which the segmenter has leapt to something else
MAX_GROWTH = 2.5  # of the area from one slice to the next


@dataclass(frozen=True)
class SlicePrompt:
    """A prompt on one slice: points (x, y) in pixels, x along the first of the slice's axes."""

    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    box: tuple[Point, Point] | None = None


class SliceSegmenter(Protocol):
    """Outlines what a prompt points at on one slice."""

    def outline(self, plane: AnyArray, prompt: SlicePrompt) -> tuple[BoolArray, float]:
        """Return the outline, with the axes of `plane`, and how sure the model is, 0 to 1.

        Args:
            plane: (x, y) numbers, or (x, y, 3) colour.
            prompt: on that slice.
        """
        ...


def carry(
    segmenter: SliceSegmenter, volume: Volume, prompt: Prompt, progress: Progress, min_quality: float
) -> BoolArray:
    """Outline what a prompt points at, slice by slice.

    Args:
        segmenter: of single slices.
        volume: the image; a 2-D image is its one slice.
        prompt: points and box in voxel indices.
        progress: told how far the work is.
        min_quality: below which a slice is not believed and carrying stops.

    Returns:
        bool (i, j, k) on the image's grid; empty where the model sees nothing at the prompt.

    Raises:
        BadInputError: a point or box lies outside the image, or neither is given.
    """
    _require_inside(volume, prompt)
    axis = slice_axis(volume)
    seeds, first, last = _by_slice(volume, prompt, axis)
    mask = np.zeros(volume.shape, bool)
    done = 0
    for index in sorted(seeds):
        if np.take(mask, index, axis).any():
            continue  # reached from another seed
        found, quality = segmenter.outline(np.take(volume.array, index, axis), seeds[index])
        done += 1
        if not found.any() or quality < min_quality:
            continue
        _put(mask, index, axis, found)
        for step in (1, -1):
            for place, outline in _carried(segmenter, volume, (index, step, axis), found, min_quality):
                if not first <= place <= last or np.take(mask, place, axis).any():
                    break
                _put(mask, place, axis, outline)
                done += 1
                progress(min(0.95, done / (last - first + 1)), f"outlined {done} slices")
    return mask


def slice_axis(volume: Volume) -> int:
    """Return the axis across slices: the thickest, else the one from feet to head, else the third."""
    if volume.dims == 2:
        return 2
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    if steps.max() > 1.5 * steps.min():
        return int(steps.argmax())
    if not volume.orientation_known:
        return 2
    return next(axis for axis, code in enumerate(orientation_codes(volume.affine_ras)) if code in "IS")


def _carried(
    segmenter: SliceSegmenter, volume: Volume, start: tuple[int, int, int], found: BoolArray, min_quality: float
) -> Iterator[tuple[int, BoolArray]]:
    index, step, axis = start
    before = found
    while 0 <= (index := index + step) < volume.shape[axis]:
        plane = np.take(volume.array, index, axis)
        outline, quality = segmenter.outline(plane, SlicePrompt(box=_box_around(before)))
        overlap = 2 * float((outline & before).sum()) / max(float(outline.sum() + before.sum()), 1.0)
        if quality < min_quality or overlap < MIN_OVERLAP or outline.sum() > MAX_GROWTH * before.sum():
            return
        yield index, outline
        before = outline


def _box_around(outline: BoolArray) -> tuple[Point, Point]:
    places = np.argwhere(outline)
    low, high = places.min(0), places.max(0)
    room = np.ceil((high - low + 1) * MARGIN)
    lower, upper = np.maximum(low - room, 0), np.minimum(high + room, np.array(outline.shape) - 1)
    return (float(lower[0]), float(lower[1])), (float(upper[0]), float(upper[1]))


def _put(mask: BoolArray, index: int, axis: int, outline: BoolArray) -> None:
    mask[tuple(index if a == axis else slice(None) for a in range(3))] = outline


def _by_slice(volume: Volume, prompt: Prompt, axis: int) -> tuple[dict[int, SlicePrompt], int, int]:
    """Return the prompt of each slice that has one, and the first and last slice that may hold the structure."""
    seeds: dict[int, SlicePrompt] = {}
    first, last = 0, volume.shape[axis] - 1
    if prompt.box:
        low, high = (round(corner[axis]) for corner in prompt.box)
        if high > low:
            first, last = low, high
        flat = (_flat(prompt.box[0], axis), _flat(prompt.box[1], axis))
        seeds[(low + high) // 2] = SlicePrompt(box=flat)
    for name, points in (("inside", prompt.points), ("outside", prompt.outside)):
        for point in points:
            index = round(point[axis])
            if name == "outside" and index not in seeds:
                continue  # nothing is asked for on that slice
            seed = seeds.get(index, SlicePrompt())
            seeds[index] = replace(seed, **{name: (*getattr(seed, name), _flat(point, axis))})
    return seeds, first, last


def _flat(position: Sequence[float], axis: int) -> Point:
    x, y = (float(value) for a, value in enumerate(position) if a != axis)
    return x, y


def _require_inside(volume: Volume, prompt: Prompt) -> None:
    if not prompt.points and prompt.box is None:
        raise BadInputError("prompt: give a point inside the structure, or a box around it")
    given: list[tuple[str, Position]] = [("point", p) for p in (*prompt.points, *prompt.outside)]
    given += [("box corner", corner) for corner in prompt.box or ()]
    for what, position in given:
        if not all(-0.5 <= value <= n - 0.5 for value, n in zip(position, volume.shape, strict=True)):
            shown = ", ".join(f"{value:g}" for value in position)
            size = " × ".join(str(n) for n in volume.shape)
            raise BadInputError(f"prompt: the {what} ({shown}) lies outside the image of {size} voxels (from 0)")
    if prompt.box and any(high < low for low, high in zip(*prompt.box, strict=True)):
        raise BadInputError(f"prompt: the box's first corner must be the lower one, got {prompt.box}")
