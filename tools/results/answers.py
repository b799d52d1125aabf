"""What a model says of an image, and where it comes from: scores, words, an explanation."""

from typing import ClassVar

from tools.facts import ArtifactKind
from tools.results.base import Record, ToolResult


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


class Text(ToolResult):
    """A model's answer in words; its maker marks it as an opinion."""

    kind: ClassVar[ArtifactKind] = "text"

    image: str = ""
    question: str = ""
    answer: str


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
