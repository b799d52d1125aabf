"""How good an image is, and how far a model's result on it holds."""

from typing import ClassVar, Literal

from pydantic import Field

from tools.facts import ArtifactKind
from tools.results.base import Record, ToolResult

QualityVerdict = Literal["ok", "questionable", "poor", "not judged"]


class QualityRow(Record):
    """One measure of an image's technical quality."""

    aspect: str
    """noise, signal_to_noise, blur, clipping, cut_off, slice_jumps."""
    value: float
    unit: str
    verdict: QualityVerdict
    """ "not judged": no limit for it is known to hold."""
    method: str
    basis: str = ""
    """What the limits rest on."""


class StabilityRow(Record):
    """A model's result on a worse copy of the image, beside that on the image itself."""

    corruption: str
    """What was done, with the unit of `amount`."""
    severity: int = Field(ge=1, le=5)
    amount: float
    agreement: float | None
    """Dice of the masks, or 1 − the difference of the scores; None: the model refused the worse image."""
    clean_score: float | None = None
    score: float | None = None


class ConformalSet(Record):
    """The answers that a score cannot rule out at a stated error rate."""

    answers: tuple[Literal["present", "absent"], ...]
    """One: decided; both: undecided; none: the score is unlike those that the limits were set on."""
    error_rate: float
    cases: int
    """Labelled images that the limits were set on."""


class Assessment(ToolResult):
    """How an image is technically, what of it lies outside a model's domain, and whether the model's result holds."""

    kind: ClassVar[ArtifactKind] = "assessment"

    image: str
    quality: tuple[QualityRow, ...]
    outside: tuple[str, ...] = ()
    """Why the image lies outside what the model declares to work on; empty: it does not, or no model was asked for."""
    target: str = ""
    """The structure or finding whose model was tried; empty: none was asked for."""
    stability: tuple[StabilityRow, ...] = ()
    value: float | None = None
    """The model's result on the image: ml (voxels without spacing) inside the target, or the finding's score."""
    value_unit: str = ""
    uncertainty: float | None = None
    """Standard deviation of that result under mild corruptions, in the same unit."""
    conformal_set: ConformalSet | None = None
    """None: the model was not calibrated, or is no classifier."""
    abstain: str = ""
    """Why the result should not be relied on, and what would help; empty: nothing here speaks against it."""
