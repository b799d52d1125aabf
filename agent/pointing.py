"""What a person pointed at in an image: it goes into the plan as the prompt of `segment`, whoever writes the plan."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from agent.plan import Clarify, Decline, Plan, Step
from tools.verbs.prompting import SegmentPrompt

# "segment what I clicked", "outline this", "segment the nodule I marked": a verb of outlining, and the place for a name
_ASKED = re.compile(
    r"^(?:please\s+|can you\s+|could you\s+)?(?:segment|outline|delineate|contour|mask|trace)\s+(?P<what>.+?)[.!?]?$",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:what(?:ever)?|that|which|where|the (?:thing|structure|region|area|spot|place))?\s*"
    r"(?:i|i've|i have)\s+(?:just\s+)?(?:clicked|pointed|marked|boxed|selected|drew|drawn)"
    r"(?:\s+(?:on|at|into|around|here))?\b"
    r"|\b(?:this|that|it|here)\b|\b(?:in|inside|within|around|at)\s+(?:the|my)\s+(?:box|points?|click|mark)\b"
    r"|\bthe\s+(?:clicked|marked|boxed|selected)\b",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\b(?:the|a|an|structure|region|area|thing|object|one|please|for me)\b|[^a-z0-9 ]", re.IGNORECASE)
DEFAULT_NAME = "marked structure"


class Pointed(BaseModel):
    """Points or a box that a person placed in an image of the reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(pattern=r"^(img|s)\d+$")
    """Id of the image."""
    prompt: SegmentPrompt
    """Where, in voxels of the image or in mm."""


def asked_plan(request: str, pointed: Sequence[Pointed], first_step: int) -> Plan | None:
    """Return the plan of a request that asks to outline what was pointed at and nothing else; None for others.

    Args:
        request: what the person asks.
        pointed: what was pointed at; each image gets a step.
        first_step: number of the first new step.
    """
    asked = _ASKED.match(request.strip())
    if not pointed or asked is None or not _POINTING.search(asked["what"]):
        return None
    if re.search(r"\band\b|,|;|\bthen\b", asked["what"], re.IGNORECASE):
        return None  # more than one thing is asked for: the planner's business
    name = " ".join(_EMPTY.sub(" ", _POINTING.sub(" ", asked["what"])).split()) or DEFAULT_NAME
    steps = (
        Step(id=f"s{number}", tool="segment", args={"image": f"@{p.image}", "targets": [name], "prompt": _args(p)})
        for number, p in enumerate(pointed, first_step)
    )
    return Plan(steps=tuple(steps))


def with_prompts(
    outcome: Plan | Clarify | Decline, pointed: Sequence[Pointed]
) -> tuple[Plan | Clarify | Decline, tuple[str, ...]]:
    """Put what was pointed at into the steps that outline one structure in its image.

    Returns:
        The plan, and a note for the person on every place that no step of the plan uses.
    """
    if not isinstance(outcome, Plan) or not pointed:
        return outcome, ()
    left = {p.image: p for p in pointed}
    steps = []
    for step in outcome.steps:
        place = left.get(str(step.args.get("image", "")).removeprefix("@")) if step.tool == "segment" else None
        if place and len(step.args.get("targets", ())) == 1 and not step.args.get("prompt"):
            left.pop(place.image)
            step = step.model_copy(update={"args": {**step.args, "prompt": _args(place)}})  # noqa: PLW2901
        steps.append(step)
    unused = tuple(f"What you pointed at in {image} is used by no step: ask to segment it." for image in left)
    return outcome.model_copy(update={"steps": tuple(steps)}), unused


def _args(pointed: Pointed) -> dict[str, object]:
    return pointed.prompt.model_dump(mode="json", exclude_defaults=True)
