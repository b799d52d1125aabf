"""Carrying an outline through a volume, with a segmenter of slices whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.phantoms import oblique_affine
from tools.errors import BadInputError
from tools.imaging.volume import BoolArray, Volume
from tools.models.runtimes.base import Prompt
from tools.models.runtimes.slice_propagation import SlicePrompt, carry, slice_axis


class Brightest:
    """Outlines what is bright inside the box, or connected to the point; sure of itself unless told otherwise."""

    def __init__(self, unsure_above: int = 10_000) -> None:
        self.calls: list[SlicePrompt] = []
        self._unsure_above = unsure_above

    def outline(self, plane: np.ndarray, prompt: SlicePrompt) -> tuple[BoolArray, float]:
        from scipy.ndimage import label

        self.calls.append(prompt)
        bright = plane > 50
        if prompt.box:
            (left, top), (right, bottom) = prompt.box
            inside = np.zeros(bright.shape, bool)
            inside[int(left) : int(right) + 1, int(top) : int(bottom) + 1] = True
            return bright & inside, 1.0 if bright.sum() < self._unsure_above else 0.1
        parts, _ = label(bright)
        x, y = prompt.inside[0]
        part = parts[round(x), round(y)]
        return (parts == part) & (part > 0), 1.0


def phantom(axis: int) -> tuple[Volume, BoolArray]:
    """An egg along an axis, off centre, with a second bright ball far from it; that axis is the thick one."""
    spacing = [1.0, 1.2, 1.1]
    spacing[axis] = 3.0
    i, j, k = np.ogrid[0:30, 0:34, 0:28]
    egg = ((i - 12) / 8) ** 2 + ((j - 15) / 10) ** 2 + ((k - 13) / 9) ** 2 < 1
    other = ((i - 26) / 3) ** 2 + ((j - 30) / 3) ** 2 + ((k - 24) / 3) ** 2 < 1
    array = np.zeros((30, 34, 28), np.int16)
    array[egg | other] = 100
    affine = oblique_affine(spacing=(spacing[0], spacing[1], spacing[2]))
    return Volume(array, affine, spacing_source="NIfTI header", modality="MR"), np.asarray(egg)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("prompt", [Prompt(points=((12, 15, 13),)), Prompt(box=((3, 4, 3), (21, 26, 23)))])
def test_the_whole_structure_and_nothing_else_is_found(axis: int, prompt: Prompt) -> None:
    volume, egg = phantom(axis)
    assert slice_axis(volume) == axis

    mask = carry(Brightest(), volume, prompt, lambda done, what: None, 0.5)

    assert 2 * (mask & egg).sum() / (mask.sum() + egg.sum()) > 0.97
    assert not mask[23:, 27:, 21:].any()


def test_a_box_bounds_the_slices() -> None:
    volume, egg = phantom(2)
    mask = carry(Brightest(), volume, Prompt(box=((3, 4, 11), (21, 26, 15))), lambda done, what: None, 0.5)
    assert mask.any((0, 1)).nonzero()[0].tolist() == [11, 12, 13, 14, 15]
    assert (mask[:, :, 13] == egg[:, :, 13]).all()


def test_carrying_stops_where_the_model_is_unsure() -> None:
    volume, egg = phantom(2)
    limit = int(egg[:, :, 10].sum())
    start = Prompt(points=((12, 15, 6),))
    mask = carry(Brightest(unsure_above=limit), volume, start, lambda done, what: None, 0.5)
    assert mask[:, :, 6].any()
    assert not mask[:, :, 10:].any()


def test_carrying_stops_where_the_outline_leaps() -> None:
    volume, _ = phantom(2)
    array = np.array(volume.array)
    array[:, :, 15:] = 100
    mask = carry(Brightest(), volume.with_array(array), Prompt(points=((12, 15, 13),)), lambda d, w: None, 0.5)
    assert mask[:, :, 14].any()
    assert mask[:, :, 15].sum() <= 2.5 * mask[:, :, 14].sum()


def test_a_point_on_nothing_gives_nothing() -> None:
    volume, _ = phantom(2)
    assert not carry(Brightest(), volume, Prompt(points=((1, 1, 1),)), lambda d, w: None, 0.5).any()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(), "give a point inside the structure, or a box around it"),
        (Prompt(outside=((1, 1, 1),)), "give a point inside the structure"),
        (Prompt(box=((5, 5, 5), (4, 6, 6))), "the box's first corner must be the lower one"),
        (Prompt(box=((5, 5, 5), (6, 6, 99))), r"the box corner \(6, 6, 99\) lies outside the image of 30 × 34 × 28"),
    ],
)
def test_a_wrong_prompt_is_named(prompt: Prompt, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        carry(Brightest(), phantom(2)[0], prompt, lambda done, what: None, 0.5)


def test_slices_run_from_feet_to_head_where_all_steps_are_alike() -> None:
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[0, 1] = affine[1, 2] = affine[3, 3] = 1.0
    volume = Volume(np.zeros((4, 5, 6), np.int16), affine, spacing_source="NIfTI header")
    assert slice_axis(volume) == 0
