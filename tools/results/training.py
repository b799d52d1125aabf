"""A model trained on a person's own labels, and how it did on what it had not seen."""

from typing import ClassVar

from tools.facts import ArtifactKind
from tools.results.base import Record, ToolResult


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
