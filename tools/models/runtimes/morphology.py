"""Morphology in millimetres, so that thick slices and thin ones give the same shape; small in memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.imaging.volume import BoolArray

Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]


class Component(NamedTuple):
    """One connected component."""

    label: int
    voxels: int
    box: Box
    centroid: tuple[float, float, float]
    """In voxels."""


def components(mask: BoolArray, *, at_least: int = 1) -> tuple[NDArray[Any], list[Component]]:
    """Label the face-connected components of a mask.

    Args:
        mask: bool (i, j, k).
        at_least: smallest component to list, in voxels.

    Returns:
        Labels (unsigned, 0 outside) and the components, largest first.
    """
    import cc3d

    labels = cc3d.connected_components(mask, connectivity=6, binary_image=True)
    found = cc3d.statistics(labels, no_slice_conversion=True)
    counts, corners, centroids = found["voxel_counts"], found["bounding_boxes"], found["centroids"]
    order = [int(i) for i in np.argsort(counts[1:], kind="stable")[::-1] + 1 if counts[i] >= at_least]
    listed = []
    for i in order:
        low_x, high_x, low_y, high_y, low_z, high_z = (int(c) for c in corners[i])
        box = (slice(low_x, high_x + 1), slice(low_y, high_y + 1), slice(low_z, high_z + 1))
        x, y, z = (float(c) for c in centroids[i])
        listed.append(Component(i, int(counts[i]), box, (x, y, z)))
    return labels, listed


def ball(spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Return the voxels whose centres lie within a distance of the middle one.

    Args:
        spacing_mm: distance of voxel centres along each axis.
        radius_mm: the distance; below the smallest spacing the ball is one voxel.
    """
    reach = [int(radius_mm / step + 1e-6) for step in spacing_mm]
    offsets = np.ogrid[tuple(slice(-n, n + 1) for n in reach)]
    squared = sum((offset * step) ** 2 for offset, step in zip(offsets, spacing_mm, strict=True))
    return np.asarray(squared <= radius_mm**2 + 1e-6)


def neighbours(spacing_mm: Spacing) -> BoolArray:
    """Return the face neighbours of a voxel along its finer axes; a thick slice is no neighbour of the next."""
    near = np.zeros((3, 3, 3), bool)
    near[1, 1, 1] = True
    for axis, step in enumerate(spacing_mm):
        if step <= 2 * min(spacing_mm):
            near[tuple(slice(None) if a == axis else 1 for a in range(3))] = True
    return near


def dilated(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Return the voxels within a distance of a mask; works in the mask's box, so a small mask is cheap."""
    from scipy.ndimage import binary_dilation

    grown = np.zeros_like(mask)
    box = bounding_box(mask, spacing_mm, radius_mm)
    if box is not None:
        grown[box] = binary_dilation(mask[box], ball(spacing_mm, radius_mm))
    return grown


def eroded(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Return the voxels of a mask that lie further than a distance from its outside; the image's edge is no outside."""
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(mask, ball(spacing_mm, radius_mm), border_value=1))


def closed(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Fill gaps narrower than twice a radius: dilate, then erode by the same distance."""
    from scipy.ndimage import binary_dilation, binary_erosion

    result = mask.copy()
    box = bounding_box(mask, spacing_mm, radius_mm)
    if box is None:
        return result
    structure = ball(spacing_mm, radius_mm)
    margins = [(n // 2,) * 2 for n in structure.shape]
    grown = binary_dilation(np.pad(mask[box], margins), structure)
    shrunk = binary_erosion(grown, structure)
    result[box] |= shrunk[
        tuple(slice(before, n - after) for (before, after), n in zip(margins, shrunk.shape, strict=True))
    ]
    return result


def bounding_box(mask: BoolArray, spacing_mm: Spacing, margin_mm: float) -> Box | None:
    """Return the box of a mask with a margin, cut at the image's edge; None for an empty mask."""
    spans: list[slice] = []
    for axis, step in enumerate(spacing_mm):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not hit.size:
            return None
        margin = int(np.ceil(margin_mm / step)) + 1
        spans.append(slice(max(0, int(hit[0]) - margin), min(mask.shape[axis], int(hit[-1]) + 1 + margin)))
    return spans[0], spans[1], spans[2]


def part_in_two(
    mask: BoolArray, spacing_mm: Spacing, *, least_share: float = 0.2
) -> tuple[BoolArray, BoolArray] | None:
    """Part a shape whose halves touch: peel it until they come apart, then put the layers back on both in turn.

    Args:
        mask: bool (i, j, k), one component.
        spacing_mm: distance of voxel centres along each axis.
        least_share: the smaller half must have this share of the larger one.

    Returns:
        The half with the smaller mean i and the other, or None when peeling 12 mm leaves one piece.
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    near = neighbours(spacing_mm)
    layers = [mask]
    for _ in range(max(1, int(12.0 / min(spacing_mm)))):
        layers.append(np.asarray(binary_erosion(layers[-1], near, border_value=0)))
        labels, found = components(layers[-1])
        if len(found) >= 2 and found[1].voxels > least_share * found[0].voxels:
            break
    else:
        return None
    first, second = (np.asarray(labels == c.label) for c in sorted(found[:2], key=lambda c: c.centroid[0]))
    for layer in layers[-2::-1]:
        while True:
            before = np.count_nonzero(first) + np.count_nonzero(second)
            first |= binary_dilation(first, near) & layer & ~second
            second |= binary_dilation(second, near) & layer & ~first
            if np.count_nonzero(first) + np.count_nonzero(second) == before:
                break
    return first, second
