"""Where in its evidence a sentence is to be seen: a place in an image, or a span of a report.

Place
├─ Region  a slice, a point, a box of an image; with the mask and structure where one was outlined
└─ Span    characters of a report
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Position = tuple[float, float, float]


class _Where(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Region(_Where):
    """A place in an image; what is None is not known: a score is of its whole image."""

    image: str
    """Id of the image."""
    mask: str = ""
    """Id of the mask whose structure it is."""
    target: str = ""
    """The structure or label."""
    voxel: Position | None = None
    """The point to look at, inside the structure: index (i, j, k), 0-based, of the image's own array."""
    position_mm: Position | None = None
    """The same point in the image's RAS+ world; None where the image has no spacing."""
    axis: Literal[0, 1, 2] | None = None
    """Axis of the image's own array across which the slice lies that shows it best."""
    slice_index: int | None = None
    """Index of that slice along `axis`, 0-based."""
    plane: Literal["axial", "as stored", ""] = ""
    slice_number: int | None = None
    """The same slice as pictures count it, from 1: from feet to head where the image says how it lies."""
    slice_count: int | None = None
    lower: Position | None = None
    """Corner of a box around it with the smallest voxel indices, included."""
    upper: Position | None = None
    lower_mm: Position | None = None
    """The same corners in the image's RAS+ world."""
    upper_mm: Position | None = None
    ends: tuple[Position, Position] | None = None
    """For a measured length: where it begins and ends, index (i, j, k), continuous: on the outer edges of voxels."""
    ends_mm: tuple[Position, Position] | None = None
    """The same ends in the image's RAS+ world."""

    @property
    def words(self) -> str:
        """The place for a reader: "img1, axial slice 61 of 133, at x −80.5, y 12.0, z −140.2 mm"."""
        parts = [self.image]
        if self.slice_number is not None:
            of = f" of {self.slice_count}" if self.slice_count else ""
            parts.append(f"{self.plane} slice {self.slice_number}{of}".replace("as stored ", ""))
        if self.position_mm is not None:
            axes = ", ".join(f"{axis} {value:.1f}" for axis, value in zip("xyz", self.position_mm, strict=True))
            parts.append(f"at {axes} mm".replace("-", "−"))
        elif self.voxel is not None:
            parts.append(f"at voxel {', '.join(f'{value:.0f}' for value in self.voxel)}")
        return ", ".join(parts)


class Span(_Where):
    """Characters of a report's text: `text[start:end]` is the sentence that is leaned on."""

    report: str
    """Id of the report: attached (rep1) or stored (CXR1234)."""
    section: str = ""
    start: int = Field(ge=0)
    end: int
    """One behind the last character."""

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end must be greater than start, got {self.start} and {self.end}")
        return self

    @property
    def words(self) -> str:
        """The place for a reader: "CXR12, findings, characters 120 to 163"."""
        section = f", {self.section}" if self.section else ""
        return f"{self.report}{section}, characters {self.start} to {self.end}"


class Place(_Where):
    """Where in one cited piece of evidence a sentence is to be seen."""

    evidence: str
    """Which of the sentence's evidence ids it belongs to."""
    region: Region | None = None
    span: Span | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if (self.region is None) == (self.span is None):
            raise ValueError("a place is either a region of an image or a span of a report")
        return self

    @property
    def words(self) -> str:
        """The place for a reader."""
        where = self.region or self.span
        return where.words if where else ""
