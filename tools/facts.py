"""What is known of an attachment without its pixels, and what a tool or model asks of it.

The planner, the guard and the plan's validation work on facts alone, so they run before any device time is spent.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ArtifactKind = Literal[
    "image", "mask", "boxes", "points", "scores", "measurements", "transform", "hits", "report", "figure", "mesh",
    "description", "text", "files", "verdicts", "studies", "model", "assessment",
    "change",
]  # fmt: skip
AttachmentKind = Literal["image", "mask", "report"]
Looks = Literal["", "blank", "colour", "drawing", "texture", "no chest film", "head CT", "chest CT", "no HU"]


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
    view: str = ""
    """ViewPosition of a radiograph in upper case (PA, AP, LL, LATERAL, …); empty: unknown."""
    looks: Looks = ""
    """What its pixels show it to be, where they do so beyond doubt; empty: they do not, or nobody looked."""
    looks_why: str = ""
    """What was measured in the pixels, in words."""
    doubts: tuple[str, ...] = ()
    """What header and pixels leave open or say against each other: it is let pass, and said."""
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
    view: tuple[str, ...] = ()
    """ViewPosition of a radiograph."""
    reason: str = ""
    """Why, in the words a person would read: "Hounsfield units exist only in CT"."""

    def refusal(self, facts: AttachmentFacts) -> str | None:
        """Return why `facts` do not meet these requirements and what would, or None when they do.

        An unknown body part or view passes, unless the pixels speak against it; an unknown modality does not.
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
        if self.view and facts.view and not _is_one_of(facts.view, self.view):
            return f"{facts.id} is a {facts.view} view, {' or '.join(self.view)} is needed{because}"
        return self._seen_to_be_other(facts, because)

    def unsure(self, facts: AttachmentFacts) -> tuple[str, ...]:
        """Return what is let pass without being known, for the notes of a result."""
        open_ = []
        if self.body_part and not facts.body_part and facts.looks not in ("chest CT", "head CT"):
            named = " or ".join(self.body_part[:2]).lower()
            open_.append(f"{facts.id} does not name its body part; that it shows the {named} was taken as given.")
        if self.view and not facts.view:
            open_.append(f"{facts.id} does not name its view; that it is {' or '.join(self.view)} was taken as given.")
        return (*facts.doubts, *open_)

    def _seen_to_be_other(self, facts: AttachmentFacts, because: str) -> str | None:
        """Return why pixels speak against an image being what is needed."""
        wanted = {name for name, needed in self._needs().items() if needed}
        needed = next((need for need in _SPEAKS_AGAINST.get(facts.looks, ()) if need in wanted), None)
        if needed is None:
            return None
        return (
            f"{facts.id} {_LOOKS[facts.looks]} ({facts.looks_why}), and {needed} is needed{because}. "
            f"{_MENDS[facts.looks]}"
        )

    def _needs(self) -> dict[str, bool]:
        """Return what is asked for, in the words of a refusal."""
        is_film, parts = "CR" in self.modality, set(self.body_part)
        chest, head = bool(parts & _CHEST), bool(parts & _HEAD)
        return {
            "a frontal chest film": is_film and chest and bool(self.view),
            "a chest film": is_film and chest,
            "a radiograph": is_film,
            "a CT in Hounsfield units": "CT" in self.modality,
            "a chest": chest and not head,
            "a head": head and not chest,
            "an image of something": bool(self.modality or parts),
        }


_CHEST, _HEAD = {"CHEST", "THORAX", "LUNG"}, {"HEAD", "BRAIN", "SKULL"}
_LOOKS: dict[Looks, str] = {
    "blank": "is blank",
    "colour": "is a colour picture",
    "drawing": "is a drawing or text",
    "texture": "shows no body",
    "no chest film": "does not look like a frontal chest film",
    "head CT": "looks like the CT of a head",
    "chest CT": "looks like the CT of a chest",
    "no HU": "does not hold a CT's values",
}
_FILM_NEEDS = ("a frontal chest film", "a chest film", "a radiograph")
_SPEAKS_AGAINST: dict[Looks, tuple[str, ...]] = {
    "blank": ("an image of something",),
    "colour": _FILM_NEEDS,
    "drawing": _FILM_NEEDS,
    "texture": _FILM_NEEDS,
    "no chest film": _FILM_NEEDS[:2],
    "head CT": ("a chest",),
    "chest CT": ("a head",),
    "no HU": ("a CT in Hounsfield units",),
}
_ORIGINAL = "Attach the original DICOM file, which says what it is"
_MENDS: dict[Looks, str] = {
    "blank": "Attach the image itself",
    "colour": _ORIGINAL,
    "drawing": _ORIGINAL,
    "texture": _ORIGINAL,
    "no chest film": f"{_ORIGINAL}; a lateral, turned or other film has no model here",
    "head CT": "Attach the right image, or the DICOM that names its body part",
    "chest CT": "Attach the right image, or the DICOM that names its body part",
    "no HU": "Attach the original, or say another modality",
}


def _is_one_of(view: str, wanted: tuple[str, ...]) -> bool:
    """Return whether a ViewPosition is a wanted one; scanners write "PA CHEST" and "AP PORTABLE" too."""
    words = set(view.replace("_", " ").replace("-", " ").split())
    return bool(words & set(wanted))
