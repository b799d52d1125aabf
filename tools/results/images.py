"""Images that tools made, and what an image is."""

from typing import Any, ClassVar, Literal

from tools.facts import ArtifactKind, AttachmentFacts
from tools.results.base import Record, ToolResult


class Description(ToolResult):
    """What an image is: modality, geometry, intensity, acquisition."""

    kind: ClassVar[ArtifactKind] = "description"

    image: str
    facts: dict[str, Any]


class Transform(Record):
    """How an image was brought onto another's voxels, and how well they fit."""

    kind: Literal["rigid", "affine", "deformable"]
    file: str
    """ITK transform in the step's folder: from points of `fixed` to points of `moving`, LPS+ mm."""
    fixed: str
    moving: str
    nmi_before: float
    nmi_after: float
    """Normalised mutual information: 1 for unrelated images, 2 for the same one."""
    correlation_before: float
    correlation_after: float
    overlap: float
    """Share of `fixed` that `moving` covers."""
    inverse_mean_mm: float | None = None
    inverse_p95_mm: float | None = None
    """How far points come back from where they began, there and back by a second, opposite alignment."""
    jacobian_min: float
    jacobian_max: float
    folded_share: float
    """Local change of volume, and where it is not above 0."""


class Image(ToolResult):
    """An image that a tool made from another; the original stays as it was."""

    kind: ClassVar[ArtifactKind] = "image"

    source: str
    """Id of the image that it was made from."""
    file: str
    """In the step's folder: a NIfTI file (a film is one slice thick) or a folder of DICOM. Empty: the image is `source`
    itself, as with a study that was fetched."""
    units: str = ""
    """What a voxel's value is: "HU", or empty for arbitrary intensity."""
    facts: AttachmentFacts
    """What it is; the id is the step's."""
    transform: Transform | None = None
    """How it was brought onto another image's voxels; None where it was not."""
