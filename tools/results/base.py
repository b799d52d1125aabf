"""What every result is: frozen, JSON-safe, with a summary, files, the model that made it and marks."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.facts import ArtifactKind

Mark = Literal["synthetic", "mock", "opinion"]


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
