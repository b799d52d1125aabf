"""What the hub asks of a runtime: the code that can run a family of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tools.imaging.volume import BoolArray, Volume

Progress = Callable[[float, str], None]
"""Told how far the work is, 0 to 1, and what is being done; may raise to stop the work."""


@dataclass(frozen=True)
class Segmentation:
    """What a segmenting runtime found."""

    masks: Mapping[str, BoolArray]
    """Per target asked for: bool (i, j, k) on the image's grid; all False where it was looked for and not found."""
    notes: tuple[str, ...] = ()
    """What the runtime noticed in this image that a careful reader must know."""


class SegmentRuntime(Protocol):
    """A runtime that serves the verb `segment`. One instance is shared between threads."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in an image.

        Raises:
            UnsupportedError: the image does not show what the runtime works on; says what it shows instead.
            BadInputError: the voxels are no numbers.
        """
        ...
