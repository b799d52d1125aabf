"""The typed results that tools return: small, frozen, JSON-safe. Voxels stay in files of the workspace.

ToolResult
├─ Description   what an image is
├─ Image         an image that a tool made, with the facts that later steps are checked against
├─ Masks         one mask file per target, in the image's geometry
├─ Scores        a score per label, each against its operating point
├─ Boxes         boxes in an image
├─ Points        named points in an image
├─ Text          a model's answer in words: an opinion
├─ Measurements  rows with value, unit, mask, image and where the spacing came from
├─ Change        the same quantities in two studies; in changes.py
├─ Hits          report sentences that match a query
├─ Studies       studies that a PACS holds
├─ Assessment    how an image is technically, and whether a model's result on it holds
├─ Explanation   where a model's score comes from
├─ TrainedModel  a model card made from a person's own labels
├─ Draft         findings and impression, each sentence with its evidence
├─ Verdicts      what the evidence says of each sentence of a report
├─ Files         exported files
└─ Sent          results that a PACS took
"""

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.facts import ArtifactKind, AttachmentFacts
from tools.places import Place, Position, Region, Span

Mark = Literal["synthetic", "mock", "opinion"]
ClaimKind = Literal[
    "measured", "described", "model score", "model opinion", "quoted", "general", "not examined", "by a person"
]


class Record(BaseModel):
    """Base of everything that crosses a border: frozen, no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelUse(Record):
    """Which model computed a result, and why the hub chose it."""

    card: str
    runtime: str
    version: str
    weights_sha256: str = ""
    """Empty for a method without weights."""
    device: str = "cpu"
    precision: Literal["full", "half"] = "full"
    licence: str = ""
    reason: str = ""
    """Why this card was chosen, in one sentence."""


class ToolResult(Record):
    """Base of every tool's result."""

    kind: ClassVar[ArtifactKind]

    summary: str = Field(min_length=1)
    """One sentence for the planner and the person."""
    files: tuple[str, ...] = ()
    """Names inside the step's folder, the ones a person would open first."""
    figures: tuple[str, ...] = ()
    """PNG files among `files` that show the result."""
    model: ModelUse | None = None
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    """What a careful reader must know: limits, assumptions, what was not done."""


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


class Masks(ToolResult):
    """Masks in the geometry of their image."""

    kind: ClassVar[ArtifactKind] = "mask"

    image: str
    masks: tuple[MaskEntry, ...]


class LabelScore(Record):
    """How a model scores one label."""

    label: str
    score: float
    operating_point: float | None = None
    """The score from which the finding counts as present; None: the model's publisher gives none."""

    @property
    def above(self) -> bool | None:
        """Whether the score reaches its operating point; None where there is none."""
        return None if self.operating_point is None else self.score >= self.operating_point


class Scores(ToolResult):
    """Scores of one image. No score above its operating point means "none of these", never "normal"."""

    kind: ClassVar[ArtifactKind] = "scores"

    image: str
    rows: tuple[LabelScore, ...]

    @property
    def none_above(self) -> bool:
        """Whether no label reaches its operating point."""
        return not any(row.above for row in self.rows)


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


class Text(ToolResult):
    """A model's answer in words; its maker marks it as an opinion."""

    kind: ClassVar[ArtifactKind] = "text"

    image: str = ""
    question: str = ""
    answer: str


class Measurement(Record):
    """One measured value."""

    target: str
    quantity: str
    """volume, mean_intensity, longest_diameter, …"""
    value: float
    unit: str
    """ "ml", "mm", "cm2", "HU"; empty for arbitrary intensity."""
    image: str
    mask: str
    spacing_source: str
    """Header field that gave the millimetres; empty where the unit needs none."""
    method: str
    """How it was computed, in a few words."""
    uncertainty: float | None = None
    """± in the value's unit, as far as the mask's own boundary says; None where it says nothing."""
    uncertainty_method: str = ""
    where: Region | None = None
    """Where it was measured: for a diameter its slice, else the slice that shows most of the structure."""


class Measurements(ToolResult):
    """A table of measurements."""

    kind: ClassVar[ArtifactKind] = "measurements"

    rows: tuple[Measurement, ...]


class ReportHit(Record):
    """One sentence of a stored report that matches a query."""

    report_id: str
    section: str
    sentence: str
    start: int
    """Offset of the sentence's first character in the report's text."""
    end: int
    score: float
    why: str
    """Why it matched, in a few words."""
    source: str = ""
    """The collection that the report comes from."""


class Hits(ToolResult):
    """Reports of *other* patients that match a query."""

    kind: ClassVar[ArtifactKind] = "hits"

    query: str
    hits: tuple[ReportHit, ...]


class StudyRow(Record):
    """One study of a PACS. The patient's name is not asked for; the rest stays on this machine."""

    study_uid: str
    date: str = ""
    """YYYY-MM-DD; empty where the server does not say."""
    modalities: tuple[str, ...] = ()
    description: str = ""
    """StudyDescription as the scanner wrote it: free text, not to be trusted."""
    patient_id: str = ""
    series: int | None = None
    instances: int | None = None


class Studies(ToolResult):
    """Studies that match a query. The summary holds counts only, so that it may be shown to a language model."""

    kind: ClassVar[ArtifactKind] = "studies"

    server: str
    """How the settings call the PACS."""
    studies: tuple[StudyRow, ...]
    """Newest first."""


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


class Explanation(ToolResult):
    """Where a model's score comes from: heat maps, and whether they can be believed."""

    kind: ClassVar[ArtifactKind] = "figure"

    image: str
    finding: str
    score: float
    """As `classify` gives it."""
    operating_point: float | None = None
    network_value: float
    """What the network itself puts out for the label, before it is scaled to a score."""
    network_value_masked: float
    """With the tenth of the input that the map marks replaced by the image's mean."""
    network_value_elsewhere: float
    """With the same shape at other places replaced, on average."""
    network_value_filled_in: float
    """With the marked region filled in from its rim: the counterfactual."""
    agreement_with_random_weights: float
    """Rank correlation of the map with that of the same network with random weights, −1 to 1; near 0 is good."""
    region: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
    """First and last voxel (i, j, k) of the marked region; None: the map is flat."""


class HeldOut(Record):
    """How a trained model did on what it did not learn from."""

    figure: str
    """ "Dice", or "AUC, LABEL"."""
    value: float
    low: float
    """95 % bootstrap interval."""
    high: float
    n: int
    unit: str
    """What was held out: images, or slices of the same images."""


class LabelNext(Record):
    """A slice or image whose label would teach the model most."""

    image: str
    slice_number: int
    """1-based, in the image's own order along `axis`."""
    axis: int
    """Axis (0, 1, 2) of the image's array along which slices are counted."""
    uncertainty: float
    """Mean entropy of the slice's pixels, in bits: 0 sure, 1 a coin toss."""


class TrainedModel(ToolResult):
    """A model card made from a person's own labels."""

    kind: ClassVar[ArtifactKind] = "model"

    card: str
    target: str
    trained_on: int
    """Slices or images that were learned from."""
    held_out: tuple[HeldOut, ...]
    label_next: tuple[LabelNext, ...] = ()


class Claim(Record):
    """One sentence with what it rests on."""

    text: str = Field(min_length=1)
    evidence: tuple[str, ...] = ()
    """Ids of artifacts (s2), attachments (img1) or stored reports (CXR1234)."""
    kind: ClaimKind
    where: tuple[Place, ...] = ()
    """Where in its evidence it is to be seen; each belongs to one of `evidence`. Empty: in the whole of it."""
    note: str = Field(default="", exclude_if=lambda note: not note)
    """What a reader of a copy must know of it: that a person wrote it, and what the evidence says of it."""

    @property
    def shown(self) -> str:
        """The sentence as every copy shows it: with its note."""
        return f"{self.text} [{self.note}]" if self.note else self.text

    @model_validator(mode="after")
    def _places_are_cited(self) -> Self:
        if strange := {p.evidence for p in self.where} - set(self.evidence):
            raise ValueError(f"where must name evidence that is cited, got {sorted(strange)}")
        return self


class Draft(ToolResult):
    """A structured draft report: research use, to be read and signed by a person."""

    kind: ClassVar[ArtifactKind] = "report"

    technique: tuple[Claim, ...] = ()
    findings: tuple[Claim, ...] = ()
    impression: tuple[Claim, ...] = ()
    similar: tuple[Claim, ...] = ()
    """Sentences quoted from reports of other patients; never findings of this one."""
    limitations: tuple[Claim, ...] = ()
    worded_by: str = "template"
    """ "template", or the LLM that worded it."""
    held_back: tuple[str, ...] = ()
    """Sentences that their evidence does not support, each with the reason."""

    def claims(self) -> tuple[Claim, ...]:
        """Return every sentence in reading order."""
        return self.technique + self.findings + self.impression + self.similar + self.limitations


class SentenceVerdict(Record):
    """What the evidence says of one sentence of a report."""

    text: str
    section: str = ""
    verdict: Literal["supported", "contradicted", "not covered"]
    reason: str = ""
    """Why it is not supported; empty where it is."""
    evidence: tuple[str, ...] = ()
    """What it was compared with, by id."""
    where: tuple[Place, ...] = ()
    """Where in that evidence it is to be seen; each belongs to one of `evidence`. Empty: in the whole of it."""
    span: Span | None = None
    """Where in the report it stands; None for a draft of this reading, which is sentences and no text."""


class Verdicts(ToolResult):
    """A report's sentences, each against the evidence of this reading."""

    kind: ClassVar[ArtifactKind] = "verdicts"

    report: str
    rows: tuple[SentenceVerdict, ...]


class Files(ToolResult):
    """Files written for use elsewhere."""

    kind: ClassVar[ArtifactKind] = "files"

    format: str


class Sent(ToolResult):
    """Results that a PACS took."""

    kind: ClassVar[ArtifactKind] = "files"

    server: str
    """How the settings call the PACS."""
    instances: tuple[str, ...]
    """SOPInstanceUIDs that it confirmed."""
