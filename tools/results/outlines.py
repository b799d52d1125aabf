"""Where something is in an image: masks, boxes, points."""

from typing import ClassVar

from pydantic import Field

from tools.facts import ArtifactKind
from tools.places import Position, Region
from tools.results.base import ModelUse, Record, ToolResult


class MaskEntry(Record):
    """One target's mask."""

    target: str
    file: str
    """NIfTI, uint8, 1 inside; the image's shape and affine."""
    voxels: int = Field(ge=0)
    """How many voxels are inside; 0 when the target was looked for and not found."""
    model: ModelUse | None = None
    """Which model outlined it, where several shared the targets out; None: the result's own."""
    where: Region | None = None
    """Where it is best seen; None: nothing is inside, or nobody looked."""


class NotOutlined(Record):
    """A target that was not looked for, because its model cannot run here."""

    target: str
    lacks: str
    """The model, what it lacks, and the command that mends it."""


class Masks(ToolResult):
    """Masks in the geometry of their image."""

    kind: ClassVar[ArtifactKind] = "mask"

    image: str
    masks: tuple[MaskEntry, ...]
    not_outlined: tuple[NotOutlined, ...] = ()
    """Targets that were asked for and left out."""


class Box(Record):
    """A box along the image's own axes."""

    label: str
    score: float | None = None
    lower: Position
    """Corner with the smallest voxel indices (i, j, k), continuous, 0-based; the box includes it."""
    upper: Position
    """Corner with the largest voxel indices (i, j, k)."""
    lower_mm: Position | None = None
    """The same corners in the image's RAS+ world; None where the image has no spacing."""
    upper_mm: Position | None = None


class Boxes(ToolResult):
    """Boxes of what was looked for."""

    kind: ClassVar[ArtifactKind] = "boxes"

    image: str
    looked_for: str
    boxes: tuple[Box, ...]
    """Best first; empty: looked for and not found above the operating point."""
    operating_point: float | None = None


class Point(Record):
    """A named point."""

    name: str
    voxel: Position
    """Index (i, j, k), continuous, 0-based."""
    position_mm: Position | None = None
    """In the image's RAS+ world; None where the image has no spacing."""
    score: float | None = None


class Points(ToolResult):
    """Named points of one image."""

    kind: ClassVar[ArtifactKind] = "points"

    image: str
    points: tuple[Point, ...]
