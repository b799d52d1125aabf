"""What the hub asks of a runtime: the code that can run a family of models.

A runtime module has a function `load(loading: Loading)` that returns an object with the methods of the verbs it serves.
One instance is shared between threads. All positions are voxel indices of the image handed in: continuous, 0-based,
(i, j, k); the verbs turn them into millimetres. Errors: UnsupportedError when the image does not show what the model
works on, BadInputError when its voxels or a prompt cannot be used; UnavailableError from `load` when the weights are
not what the card says (wrong shape, wrong kind of file).

Memory belongs to the hub. A runtime loads on `loading.device`, computes inside `loading.inference()`, keeps no copy of
its model elsewhere, and lets errors of memory (torch's, ONNX Runtime's, MemoryError) pass: the hub catches them,
unloads other models, and calls again with a smaller form (`Smaller`), then on the CPU. Optional attributes: `smaller`
and `saving` (see `Smaller`); `device`, where the runtime really computes when that is not `loading.device`; and
`close()`, called when the model is unloaded, for what garbage collection does not end, such as a process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tools.errors import BadInputError
from tools.places import Position
from tools.results import LabelScore

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from tools.audit import AuditLog
    from tools.imaging.volume import AnyArray, BoolArray, Volume
    from tools.models.card import ModelCard

Progress = Callable[[float, str], None]
"""Told how far the work is, 0 to 1, and what is being done; may raise to stop the work."""


def silent(done: float, what: str) -> None:
    """Progress that nobody watches."""


OptionsT = TypeVar("OptionsT", bound=BaseModel)


class Options(BaseModel):
    """Base of what a runtime reads from the table [options] of a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Loading:
    """What a runtime gets to load a model with."""

    card: ModelCard
    weights: Mapping[str, Path]
    """By the names in the card; hashes are checked already."""
    device: str
    """The CPU as "cpu", or a torch device."""
    half: bool = False
    """Whether to compute in half precision: the card allows it, and the device is made for it."""
    remote_models: tuple[str, ...] = ()
    """Addresses of other machines that pixels may be sent to; the person's setting."""
    audit: AuditLog | None = None
    """Where a remote model's call is written down before it is made; None: nowhere."""

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Compute without gradients, and in half precision where `half` says so; masters stay in full precision.

        On a GPU that is float16, on a CPU bfloat16, whose range is that of full precision.
        """
        import torch

        kind = torch.device(self.device).type
        dtype = torch.bfloat16 if kind == "cpu" else torch.float16
        with torch.inference_mode(), torch.autocast(kind, dtype=dtype, enabled=self.half):
            yield

    def options(self, kind: type[OptionsT]) -> OptionsT:
        """Return the card's table [options], checked.

        Raises:
            BadInputError: a key is unknown, missing or wrong; names card and key.
        """
        try:
            return kind.model_validate(self.card.options)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in problem["loc"]) or "options"
            raise BadInputError(f"model card {self.card.name!r}, [options] {key}: {problem['msg']}") from None


class Smaller(Protocol):
    """A runtime that can do with less memory, at the price of time: by smaller patches or batches."""

    @property
    def saving(self) -> str:
        """How this form saves memory, for a reader: "patches of 48 × 48 × 48 voxels"; empty for the full form."""
        ...

    def smaller(self) -> Smaller | None:
        """Return a form of this model that needs less memory and shares its weights, or None when none is smaller.

        It changes nothing in the form it is asked of, which other threads may be using.
        """
        ...


@dataclass(frozen=True)
class Prompt:
    """What a person points at; at least one field is given."""

    points: tuple[Position, ...] = ()
    """Inside what is meant."""
    outside: tuple[Position, ...] = ()
    """Points that are not part of it."""
    box: tuple[Position, Position] | None = None
    """Lower and upper corner around it."""
    text: str = ""


@dataclass(frozen=True)
class Segmentation:
    """What a segmenting runtime found."""

    masks: Mapping[str, BoolArray]
    """Per target asked for: bool (i, j, k) on the image's grid; all False where it was looked for and not found."""
    notes: tuple[str, ...] = ()
    """What the runtime noticed in this image that a careful reader must know."""


@dataclass(frozen=True)
class FoundBox:
    """A box in voxel indices."""

    label: str
    lower: Position
    upper: Position
    score: float | None = None


@dataclass(frozen=True)
class FoundPoint:
    """A point in voxel indices."""

    name: str
    voxel: Position
    score: float | None = None


@dataclass(frozen=True)
class Grounding:
    """Where a phrase is: boxes, or a mask, or neither when it is not there."""

    boxes: tuple[FoundBox, ...] = ()
    mask: BoolArray | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Synthesized:
    """An image that was made, with what it was made to show."""

    image: Volume
    labels: AnyArray | None = None
    """Unsigned (i, j, k) on the image's grid: 0, or a number of `names`."""
    names: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def image_of(made: Volume | Synthesized) -> Volume:
    """Return the image of what a generator gave."""
    return made.image if isinstance(made, Synthesized) else made


@dataclass(frozen=True)
class Attention:
    """What explaining one score needs of the model behind it."""

    network: Module
    """Returns one value per label, higher for more likely: (n, labels)."""
    inputs: Tensor
    """What the network sees of the image, (1, channels, …)."""
    index: int
    """Which of the values is explained."""
    to_image: Callable[[Any], AnyArray]
    """Brings a map over the inputs, without their first two axes, to the image's grid: float32 (i, j, k)."""
    layer: str | None = ""
    """Name of the submodule with the last feature maps; empty: the last convolution; None: it has none to look at, as
    networks of attention blocks."""


class SegmentRuntime(Protocol):
    """Serves `segment` by target."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        """Outline targets in an image."""
        ...


class PromptRuntime(Protocol):
    """Serves `segment` by prompt; its card names the kinds of prompt it takes."""

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        """Outline what a prompt points at: bool (i, j, k) on the image's grid."""
        ...


class ClassifyRuntime(Protocol):
    """Serves `classify`."""

    def classify(self, volume: Volume, labels: Sequence[str], progress: Progress) -> tuple[LabelScore, ...]:
        """Score labels, all that the model knows when none is named; labels without meaning are left out."""
        ...


class ExplainRuntime(ClassifyRuntime, Protocol):
    """Serves `explain`: classifiers that are torch modules."""

    def attention(self, volume: Volume, label: str) -> Attention:
        """Return network and input behind the score of a label."""
        ...


class DetectRuntime(Protocol):
    """Serves `detect`."""

    def detect(self, volume: Volume, target: str, progress: Progress) -> tuple[FoundBox, ...]:
        """Return boxes, best first; the card's operating point is applied already."""
        ...


class GroundRuntime(Protocol):
    """Serves `ground`."""

    def ground(self, volume: Volume, phrase: str, progress: Progress) -> Grounding:
        """Find what a phrase names."""
        ...


class LandmarkRuntime(Protocol):
    """Serves `landmarks`."""

    def landmarks(self, volume: Volume, targets: Sequence[str], progress: Progress) -> tuple[FoundPoint, ...]:
        """Return the named points that were found."""
        ...


class AnswerRuntime(Protocol):
    """Serves `answer`, and `draft_report` with its card's own instruction."""

    def answer(self, volume: Volume, question: str, progress: Progress) -> str:
        """Answer a question about an image in words."""
        ...


class SynthesizeRuntime(Protocol):
    """Serves `synthesize`."""

    def synthesize(
        self, source: Volume | None, parameters: Mapping[str, float | str], progress: Progress
    ) -> Volume | Synthesized:
        """Make an image from another, or from nothing."""
        ...
