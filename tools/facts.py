"""What is known of an attachment without its pixels, and what a tool or model asks of it.

The planner, the guard and the plan's validation work on facts alone, so they run before any device time is spent.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ArtifactKind = Literal[
    "image", "mask", "boxes", "points", "scores", "measurements", "transform", "hits", "report", "figure", "mesh",
    "description", "text", "files", "verdicts", "studies",
]  # fmt: skip
AttachmentKind = Literal["image", "mask", "report"]


class AttachmentFacts(BaseModel):
    """What an image, mask or report is, as far as header and content say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^(img|mask|rep|s)\d+$")
    """Of an attachment; of the step, for an image that a tool made."""
    kind: AttachmentKind = "image"
    modality: str = ""
    """DICOM code (CT, MR, CR, DX, US, …); empty: unknown."""
    modality_source: str = ""
    """Who says so: "header", "voxel values", "stated by the person", "BIDS file name"; empty: unknown."""
    body_part: str = ""
    """BodyPartExamined in upper case; empty: unknown."""
    dims: int = 0
    """2 or 3; 0 for a report."""
    has_spacing: bool | None = None
    """Whether the image carries millimetres; None: not looked at (as in planner evaluations)."""
    prior: bool = False
    """An earlier study, brought for comparison."""
    of: str = ""
    """For a mask: the image that it belongs to."""
    label: str = ""
    """For a mask: what it outlines."""


class Requires(BaseModel):
    """What an image must be; an empty tuple allows anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    dims: tuple[int, ...] = ()
    reason: str = ""
    """Why, in the words a person would read: "Hounsfield units exist only in CT"."""

    def refusal(self, facts: AttachmentFacts) -> str | None:
        """Return why `facts` do not meet these requirements and what would, or None when they do.

        An unknown body part passes: whoever computes must then check the content. An unknown modality does not.
        """
        because = f": {self.reason}" if self.reason else ""
        if self.modality and facts.modality not in self.modality:
            wanted = " or ".join(self.modality)
            if not facts.modality:
                return (
                    f"{facts.id} does not say its modality and its values do not show it; {wanted} is needed{because}. "
                    f"Say it with '--modality {self.modality[0]}' or in the request"
                )
            return f"{facts.id} is {facts.modality}, {wanted} is needed{because}"
        if self.dims and facts.dims not in self.dims:
            wanted = " or ".join(f"{d}-D" for d in self.dims)
            return f"{facts.id} is {facts.dims}-D, {wanted} is needed{because}"
        if self.body_part and facts.body_part and facts.body_part not in self.body_part:
            named, rest = self.body_part[:3], len(self.body_part) - 3
            wanted = f"{', '.join(named)} or {rest} like it" if rest > 0 else " or ".join(named)
            return f"{facts.id} shows {facts.body_part}, {wanted} is needed{because}"
        return None
