"""What a person points at in an image, as an argument of a tool, and as a model gets it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.errors import BadInputError
from tools.imaging.anatomy import resolve

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from tools.models.card import PromptKind
    from tools.models.runtimes.base import Prompt
    from tools.places import Position

Place = Annotated[list[float], Field(min_length=2, max_length=3)]
MAX_POINTS = 64  # an interactive network takes a few dozen at most
MAX_SCRIBBLE = 16  # points taken from a stroke, evenly


class SegmentPrompt(BaseModel):
    """What a person pointed at: points, a box, a scribble or words; positions in voxels of the image or in mm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: list[Place] = Field(default=[], max_length=MAX_POINTS, description="positions inside the structure")
    outside: list[Place] = Field(default=[], max_length=MAX_POINTS, description="positions that are not part of it")
    scribble: list[Place] = Field(default=[], description="positions along a stroke drawn inside it")
    box: list[Place] = Field(default=[], max_length=2, description="two opposite corners around it")
    text: str = Field(default="", max_length=200, description="words for it")
    frame: Literal["voxel", "mm"] = Field(
        default="voxel",
        description="voxel: 0-based indices (i, j, k) of the image as stored; mm: RAS+ world, as a NIfTI viewer shows",
    )

    @model_validator(mode="after")
    def _points_at_something(self) -> SegmentPrompt:
        if not (self.points or self.scribble or self.box or self.text):
            raise ValueError("name points, a scribble, a box or text")
        if len(self.box) == 1:
            raise ValueError("box must have two opposite corners")
        return self

    @property
    def kinds(self) -> tuple[PromptKind, ...]:
        """The kinds of prompt that a model must take; a scribble is points."""
        given: tuple[tuple[PromptKind, bool], ...] = (
            ("points", bool(self.points or self.scribble or self.outside)),
            ("box", bool(self.box)),
            ("text", bool(self.text)),
        )
        return tuple(kind for kind, there in given if there)

    @property
    def said(self) -> str:
        """What was pointed at, in words."""
        inside, outside = len(self.points), len(self.outside)
        parts = [f"{inside} point{'s' if inside != 1 else ''} inside" if inside else ""]
        parts += [f"{outside} outside" if outside else "", "a scribble" if self.scribble else ""]
        parts += ["a box" if self.box else "", f"the words “{self.text}”" if self.text else ""]
        return f"outlined from {', '.join(part for part in parts if part)}"

    def on(self, volume: Volume) -> Prompt:
        """Return the prompt in voxel indices of an image.

        Raises:
            BadInputError: a position lies outside the image, or is given in mm where the image has none.
        """
        from tools.models.runtimes.base import Prompt

        step = max(1, -(-len(self.scribble) // MAX_SCRIBBLE))
        corners = [self._voxel(place, volume, f"box[{n}]") for n, place in enumerate(self.box)]
        box = None
        if corners:
            both = np.array(corners)
            box = (_position(both.min(0)), _position(both.max(0)))
        return Prompt(
            points=self._all(self.points, volume, "points") + self._all(self.scribble[::step], volume, "scribble"),
            outside=self._all(self.outside, volume, "outside"),
            box=box,
            text=self.text,
        )

    def _all(self, places: Sequence[Place], volume: Volume, name: str) -> tuple[Position, ...]:
        return tuple(self._voxel(place, volume, f"{name}[{n}]") for n, place in enumerate(places))

    def _voxel(self, place: Place, volume: Volume, name: str) -> Position:
        from tools.imaging.geometry import world_to_voxel

        if len(place) == 2 and volume.dims == 3:
            raise BadInputError(f"prompt.{name} must have three numbers in a volume, got {place}")
        given = np.array([*place, 0.0][:3], np.float64)
        if self.frame == "mm":
            _ = volume.spacing_mm  # refuses an image without millimetres
            given = world_to_voxel(volume, given)
        if not ((given >= -0.5) & (given <= np.array(volume.shape) - 0.5)).all():
            size = " × ".join(str(n) for n in volume.shape)
            at = ", ".join(f"{n:.1f}" for n in given)
            raise BadInputError(
                f"prompt.{name} {place} ({self.frame}) lies at voxel ({at}), outside the image of {size} voxels"
            )
        return _position(np.clip(given, 0, np.array(volume.shape) - 1))


def _position(voxel: NDArray[np.float64]) -> Position:
    i, j, k = (float(n) for n in voxel)
    return i, j, k


def mask_name(targets: Sequence[str]) -> str:
    """Return what the mask of a prompt is called: the one target, as a class name where it is one.

    Raises:
        BadInputError: not exactly one usable name is given.
    """
    if len(targets) != 1:
        raise BadInputError(f"targets: a prompt outlines one structure, so give one name for it, got {len(targets)}")
    try:
        found = resolve(targets[0])
        if len(found) == 1:
            return found[0]
    except BadInputError:
        pass
    name = re.sub(r"[^a-z0-9]+", "_", targets[0].lower()).strip("_")
    if not name:
        raise BadInputError(f"targets: give a name with letters or digits, got {targets[0]!r}")
    return name[:60]
