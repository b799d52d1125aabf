"""ground: the region of an image that a phrase describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.places import Position
from tools.preconditions import needs_model
from tools.results import Box, Boxes

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.runtimes.base import FoundBox, Grounding, GroundRuntime

PICTURE = "boxes.png"
MAX_WORDS = 60
NOTE = "A box is where a model sees what the phrase says; it does not prove that it is there."


@tool(precheck=needs_model("ground"), cost=Cost(seconds=10), examples=examples_of("ground"))
def ground(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to look in")],
    phrase: Annotated[str, Field(description="the words that describe the region")],
) -> Boxes:
    """Mark the region of an image that a phrase describes, as a box or mask.

    Raises:
        UnsupportedError: no model grounds phrases on this kind of image; says why.
        UnavailableError: the model's weights or package are missing; says how to get them.
        BadInputError: the phrase is empty or very long, or the image is blank.
    """
    words = " ".join(phrase.split())
    if not words or len(words.split()) > MAX_WORDS:
        raise BadInputError(f"phrase: say in 1 to {MAX_WORDS} words what to look for, got {len(words.split())}")
    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("ground", facts)
    ctx.progress(0.02, f"{choice.card.title}: loading")
    volume = ctx.workspace.volume(image)

    def run(runtime: GroundRuntime) -> tuple[Grounding, float | None]:
        found = runtime.ground(volume, words, lambda done, what: ctx.progress(0.05 + 0.8 * done, what))
        return found, getattr(runtime, "operating_point", None)

    used = ctx.hub.use(choice, run)
    found, point = used.value
    boxes = tuple(_box(box, volume) for box in found.boxes or _around(found.mask, words))
    ctx.progress(0.9, "drawing the boxes")
    shown = _draw(ctx, image, volume, boxes)
    return Boxes(
        summary=_summary(boxes, image, words, choice.card.title),
        files=(PICTURE,),
        figures=(PICTURE,),
        model=used.model,
        notes=(
            *used.notes,
            *found.notes,
            *choice.card.facts_needed.unsure(facts),
            NOTE,
            *choice.card.limits_for(()),
            f"Picture: {shown}.",
        ),
        image=image,
        looked_for=words,
        boxes=boxes,
        operating_point=point,
    )


def _box(found: FoundBox, volume: Volume) -> Box:
    """Return a box with millimetres where the image has them; one outside the image is the runtime's bug."""
    ends = np.array([found.lower, found.upper])
    if (ends < -0.5).any() or (ends > np.array(volume.shape) - 0.5).any() or (ends[0] > ends[1]).any():
        raise ValueError(f"the runtime returned a box outside the image of {volume.shape}: {found}")
    in_mm = _corners_mm(found, volume) if volume.spacing_source else (None, None)
    return Box(
        label=found.label,
        score=found.score,
        lower=found.lower,
        upper=found.upper,
        lower_mm=in_mm[0],
        upper_mm=in_mm[1],
    )


def _corners_mm(found: FoundBox, volume: Volume) -> tuple[Position, Position]:
    from tools.imaging.geometry import voxel_to_world

    lower, upper = (voxel_to_world(volume, np.array(corner)).tolist() for corner in (found.lower, found.upper))
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def _around(mask: BoolArray | None, label: str) -> tuple[FoundBox, ...]:
    """Return a box around each part of a mask, largest first."""
    from scipy.ndimage import find_objects
    from scipy.ndimage import label as parts_of

    from tools.models.runtimes.base import FoundBox as New

    if mask is None or not mask.any():
        return ()
    parts, _ = parts_of(mask)
    places = sorted(find_objects(parts), key=lambda place: -np.count_nonzero(mask[place]))
    return tuple(
        New(label, _position([s.start for s in place]), _position([s.stop - 1 for s in place])) for place in places[:10]
    )


def _position(index: list[int]) -> Position:
    return float(index[0]), float(index[1]), float(index[2])


def _draw(ctx: ToolContext, image: str, volume: Volume, boxes: tuple[Box, ...]) -> str:
    from tools.imaging.render import overlay_png

    masks: dict[str, BoolArray] = {}
    for number, box in enumerate(boxes, 1):
        mask = np.zeros(volume.shape, bool)
        ends = zip(np.ceil(box.lower).astype(int), np.floor(box.upper).astype(int) + 1, strict=True)
        mask[tuple(slice(max(0, low), max(low + 1, high)) for low, high in ends)] = True
        score = "" if box.score is None else f" {box.score:.2f}"
        masks[f"{number}: {box.label[:40]}{score}"] = mask
    title = f"{image}: {len(boxes)} box{'' if len(boxes) == 1 else 'es'}" if boxes else f"{image}: nothing found"
    return overlay_png(volume, masks, ctx.folder / PICTURE, title=title)


def _summary(boxes: tuple[Box, ...], image: str, words: str, title: str) -> str:
    said = words if len(words) <= 120 else f"{words[:117]}…"
    if not boxes:
        return f"Nothing in {image} matches “{said}” above the threshold of {title}."
    count = "1 region matches" if len(boxes) == 1 else f"{len(boxes)} regions match"
    best = "" if boxes[0].score is None else f", the best with score {boxes[0].score:.2f}"
    return f"{count} “{said}” in {image}{best} ({title})."
