"""classify: which findings an image shows, as scores with their operating points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import LabelScore, Scores

if TYPE_CHECKING:
    from tools.models.card import ModelCard
    from tools.models.runtimes.base import ClassifyRuntime

CHART = "scores.png"
NONE_ABOVE = "No finding above its threshold"
NOTES = (
    "A score is no probability, and a score below its operating point does not exclude the finding: no image is "
    "called normal here.",
)


@tool(
    precheck=needs_model("classify", "labels"),
    cost=Cost(seconds=5),
    examples=examples_of("classify"),
)
def classify(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to classify")],
    labels: Annotated[list[str] | None, Field(description="findings to score; none: all that the model knows")] = None,
) -> Scores:
    """Say how likely findings are in an image: a score per label, with operating point and "none of these".

    Raises:
        UnsupportedError: no model scores these labels on this kind of image; says why.
        UnavailableError: the model's weights or package are missing; says how to get them.
        BadInputError: the image is blank or holds values that are no numbers.
    """
    from tools.imaging.plots import scores_png

    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("classify", facts, labels or ())
    names = _named(choice.card, labels or ())
    ctx.progress(0.02, f"{choice.card.title}: loading")
    volume = ctx.workspace.volume(image)

    def run(runtime: ClassifyRuntime) -> tuple[LabelScore, ...]:
        return runtime.classify(volume, names, lambda done, what: ctx.progress(0.05 + 0.8 * done, what))

    used = ctx.hub.use(choice, run)
    rows = _checked(used.value, names)
    ctx.progress(0.9, "drawing the chart")
    shown = scores_png(rows, ctx.folder / CHART, title=f"{image}: {choice.card.title}")
    return Scores(
        summary=summary_of(rows, image, choice.card.title),
        files=(CHART,),
        figures=(CHART,),
        model=used.model,
        notes=(
            *used.notes,
            *choice.card.facts_needed.unsure(facts),
            *NOTES,
            *choice.card.limits_for(names),
            f"Chart: {shown}.",
        ),
        image=image,
        rows=rows,
    )


def _named(card: ModelCard, words: Sequence[str]) -> tuple[str, ...]:
    """Return the card's own labels; the hub chose it because it serves them all."""
    return tuple(dict.fromkeys(card.named(word) or word for word in words))


def _checked(rows: tuple[LabelScore, ...], names: Sequence[str]) -> tuple[LabelScore, ...]:
    """Return the rows, the ones asked for in their order; anything but numbers from 0 to 1 is the runtime's bug."""
    for row in rows:
        if not math.isfinite(row.score) or not 0 <= row.score <= 1:
            raise ValueError(f"the runtime scored {row.label!r} as {row.score}, expected a number from 0 to 1")
    if lacking := set(names) - {row.label for row in rows}:
        raise ValueError(f"the runtime did not score {', '.join(sorted(lacking))}")
    order = {name: place for place, name in enumerate(names)}
    return tuple(sorted(rows, key=lambda row: order.get(row.label, 0))) if names else rows


def summary_of(rows: Sequence[LabelScore], image: str, title: str) -> str:
    """Return one sentence: which findings reach their operating point, or that none does. Never "normal"."""
    judged = [row for row in rows if row.operating_point is not None]
    reached = sorted((row for row in judged if row.above), key=lambda row: row.score, reverse=True)
    others = [row.label.replace("_", " ") for row in rows if row.operating_point is None]
    named = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
    unjudged = f" Not judged, for want of an operating point: {named}." if others else ""
    if not judged:
        return f"{title} scored {image} and has no operating points: no finding is judged."
    if not reached:
        one = f"{judged[0].label.replace('_', ' ')} did not reach its"
        many = f"none of the {len(judged)} findings reached its"
        return f"{NONE_ABOVE} in {image}: {one if len(judged) == 1 else many} operating point ({title}).{unjudged}"
    named = ", ".join(
        f"{row.label.replace('_', ' ')} {row.score:.2f} (operating point {row.operating_point:.2f})"
        for row in reached[:4]
    )
    more = f" and {len(reached) - 4} more" if len(reached) > 4 else ""
    of = f"{len(reached)} of {len(judged)} findings reach" if len(judged) > 1 else "1 finding reaches"
    return f"{of} the operating point in {image}: {named}{more} ({title}).{unjudged}"
