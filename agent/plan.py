"""A plan is data: steps with typed arguments and references, a question back, or a refusal. Never code."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Frozen):
    """A measured value on which a step depends: "if the volume is above 5 l"."""

    step: str = Field(pattern=r"^s\d+$")
    """The step that measures."""
    quantity: Literal["volume", "intensity", "diameter", "surface_area", "ratio"]
    relation: Literal["above", "below"]
    value: float
    unit: str = ""
    """ "ml", "l", "mm", "cm", "cm2", "HU"; empty for a ratio."""


class Step(_Frozen):
    """One call of a tool. `@img1` is an attachment, `@s1` another step's result."""

    id: str = Field(pattern=r"^s\d+$")
    tool: str
    args: dict[str, Any] = Field(default_factory=dict)
    when: Condition | None = Field(default=None, exclude_if=lambda condition: condition is None)
    """None: the step always runs."""
    model: str | None = Field(default=None, exclude_if=lambda model: model is None)
    """Name of the model card to use; None: the hub chooses."""


class Plan(_Frozen):
    """Steps to run; independent ones run side by side."""

    outcome: Literal["plan"] = "plan"
    steps: tuple[Step, ...] = Field(min_length=1)


class Clarify(_Frozen):
    """A question back: something is missing or ambiguous."""

    outcome: Literal["clarify"] = "clarify"
    question: str = Field(min_length=1)


class Decline(_Frozen):
    """A refusal with its reason: out of scope, or nothing here can do it."""

    outcome: Literal["decline"] = "decline"
    reason: str = Field(min_length=1)


Outcome = Annotated[Plan | Clarify | Decline, Field(discriminator="outcome")]
OUTCOME: TypeAdapter[Plan | Clarify | Decline] = TypeAdapter(Outcome)


def references(value: object) -> set[str]:
    """Return every id that an argument value refers to, without '@'."""
    if isinstance(value, str) and value.startswith("@"):
        return {value[1:]}
    if isinstance(value, list | tuple):
        return set().union(*map(references, value)) if value else set()
    if isinstance(value, dict):
        return set().union(*map(references, value.values())) if value else set()
    return set()


def depends_on(step: Step) -> set[str]:
    """Return the ids of the steps whose results a step needs."""
    needed = {r for r in references(step.args) if r.startswith("s")}
    return needed | {step.when.step} if step.when else needed
