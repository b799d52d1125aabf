"""detect: every instance of a target, as boxes with scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import Box, Boxes

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.runtimes.base import FoundBox

KEY_IMAGE = "key-image.png"
MAX_DRAWN = 6  # more boxes than this cannot be told apart in one picture


@tool(
    precheck=needs_model("detect", "target"),
    cost=Cost(seconds=60),
    timeout_s=1800,
    examples=examples_of("detect"),
)
def detect(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to search")],
    target: Annotated[str, Field(description="what to find: nodule, fracture, …")],
) -> Boxes:
    """Find every instance of a target, such as lung nodules, and say where each is, with its score.

    Boxes lie on the image's own axes, in voxels and in mm. Only boxes at or above the model's operating point are
    kept; none is a result too, and no proof of absence.

    Raises:
        UnsupportedError: no model finds this target on this kind of image; says why.
        UnavailableError: the model's weights or package are missing; says how to get them.
    """
    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("detect", facts, (target,))
    name = choice.card.named(target) or target
    volume = ctx.workspace.volume(image)
    ctx.progress(0.02, f"{choice.card.title}: loading")

    def search(runtime: Any) -> tuple[Sequence[FoundBox], float | None]:
        found = runtime.detect(volume, name, lambda done, what: ctx.progress(0.05 + 0.85 * done, what))
        return found, getattr(runtime, "operating_point", None)

    used = ctx.hub.use(choice, search)
    found, operating_point = used.value
    boxes = tuple(_box(each, volume) for each in found)
    ctx.progress(0.92, "drawing the key image")
    shown = _draw(ctx, image, volume, boxes)
    return Boxes(
        summary=_summary(boxes, name, choice.card.title, operating_point),
        files=(KEY_IMAGE,),
        figures=(KEY_IMAGE,),
        model=used.model,
        notes=(
            *used.notes,
            *choice.card.facts_needed.unsure(facts),
            *choice.card.limits_for((name,)),
            f"Key image: {shown}.",
        ),
        image=image,
        looked_for=name,
        boxes=boxes,
        operating_point=operating_point,
    )


def _box(found: FoundBox, volume: Volume) -> Box:
    from tools.imaging.geometry import voxel_to_world

    lower_mm = upper_mm = None
    if volume.spacing_source is not None and volume.orientation_known:
        corners = voxel_to_world(volume, np.array([found.lower, found.upper]))
        lower_mm, upper_mm = (tuple(round(float(n), 2) for n in corner) for corner in corners)
    return Box(
        label=found.label,
        score=found.score,
        lower=found.lower,
        upper=found.upper,
        lower_mm=lower_mm,  # type: ignore[arg-type]  # three numbers, which tuple() cannot say
        upper_mm=upper_mm,  # type: ignore[arg-type]  # three numbers, which tuple() cannot say
    )


def _summary(boxes: Sequence[Box], target: str, title: str, operating_point: float | None) -> str:
    above = "" if operating_point is None else f" at or above the operating point {operating_point:g}"
    word = readable(target)
    if not boxes:
        return f"Looked for {word} with {title} and found none{above}; this is no proof that there is none."
    best = max((box.score for box in boxes if box.score is not None), default=None)
    score = "" if best is None else f"; the best score is {best:.2f}"
    return f"Found {len(boxes)} × {word} with {title}{above}{score}."


def _draw(ctx: ToolContext, image: str, volume: Volume, boxes: Sequence[Box]) -> str:
    """Write a picture with the frames of the best boxes and return what it shows."""
    from tools.imaging.render import overlay_png

    frames: dict[str, BoolArray] = {}
    for number, box in enumerate(boxes[:MAX_DRAWN], start=1):
        score = "" if box.score is None else f" ({box.score:.2f})"
        frames[f"{readable(box.label)} {number}{score}"] = _frame(box, volume.shape)
    title = f"{image}: {len(boxes)} found" if boxes else f"{image}: nothing found"
    return overlay_png(volume, frames, ctx.folder / KEY_IMAGE, title=title)


def _frame(box: Box, shape: tuple[int, int, int]) -> BoolArray:
    """Return a box as a mask of the voxels that it covers."""
    mask = np.zeros(shape, np.bool_)
    spans = [
        slice(max(0, round(low)), min(n, round(high) + 1))
        for low, high, n in zip(box.lower, box.upper, shape, strict=True)
    ]
    mask[spans[0], spans[1], spans[2]] = True
    return mask
