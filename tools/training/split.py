"""Which slices a network learns from, and which it is judged on; no slice is ever both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tools.errors import BadInputError

HELD_OUT_SHARE = 0.25
MIN_IMAGES = 3  # with fewer, no image can be spared, and slices of the same images are held out instead
BLOCKS = 8
MIN_TARGET_SLICES = 8

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Slice numbers per image."""

    train: tuple[Numbers, ...]
    held_out: tuple[Numbers, ...]
    unit: Literal["image", "slice"]
    """What was held out: whole images, or slices of the images that were learned from."""


def split_slices(has_target: Sequence[NDArray[np.bool_]], context: int, seed: int) -> Split:
    """Hold out a quarter: whole images where there are three or more, else blocks of slices.

    Args:
        has_target: per image, whether each slice shows the target.
        context: neighbours that the network sees; as many slices beside a held-out block are learned from by nobody.
        seed: of the choice.

    Raises:
        BadInputError: too few slices show the target to hold any out.
    """
    rng = np.random.default_rng(seed)
    if len(has_target) >= MIN_IMAGES:
        return _by_image(has_target, rng)
    pairs = [_by_block(has, context, rng, number) for number, has in enumerate(has_target, 1)]
    return Split(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), "slice")


def _by_image(has_target: Sequence[NDArray[np.bool_]], rng: np.random.Generator) -> Split:
    count = len(has_target)
    kept_out = set(rng.permutation(count)[: max(1, round(HELD_OUT_SHARE * count))].tolist())
    none = np.array([], dtype=np.int64)
    every = [np.arange(len(has), dtype=np.int64) for has in has_target]
    train = tuple(none if n in kept_out else numbers for n, numbers in enumerate(every))
    held_out = tuple(numbers if n in kept_out else none for n, numbers in enumerate(every))
    return Split(train, held_out, "image")


def _by_block(has: NDArray[np.bool_], context: int, rng: np.random.Generator, number: int) -> tuple[Numbers, Numbers]:
    shown = np.flatnonzero(has)
    if len(shown) < MIN_TARGET_SLICES:
        raise BadInputError(
            f"examples: image {number} shows the target on {len(shown)} slices; at least {MIN_TARGET_SLICES} are "
            f"needed to learn from some and be judged on others (or {MIN_IMAGES} images): label more"
        )
    blocks = np.array_split(np.arange(shown[0], shown[-1] + 1), min(BLOCKS, len(shown) // 2))
    inner = np.arange(len(blocks))
    chosen = rng.choice(inner, size=max(1, round(HELD_OUT_SHARE * len(blocks))), replace=False)
    held_out = np.sort(np.concatenate([blocks[c] for c in chosen])).astype(np.int64)
    near = np.unique(held_out[:, None] + np.arange(-2 * context, 2 * context + 1))
    train = np.setdiff1d(np.arange(len(has)), near).astype(np.int64)
    return train, held_out
