"""What a person pointed at in the viewer, as it comes from the browser."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ui.viewing.pictures import is_waiting

if TYPE_CHECKING:
    from agent.pointing import Pointed

logger = logging.getLogger(f"readingroom.{__name__}")

MAX_PLACES = 32
Voxel = tuple[float, float, float]


class Pin(BaseModel):
    """One point or box in an image."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str = Field(pattern=r"^(img|s|new)\d+(\.\d+)?$")
    kind: Literal["point", "box"]
    voxels: tuple[Voxel, ...] = Field(min_length=1, max_length=2)


_PINS: TypeAdapter[tuple[Pin, ...]] = TypeAdapter(tuple[Pin, ...])


def pointed_of(said: str) -> tuple[Pin, ...]:
    """Return the places that the browser sent; what is no place is left out, whole."""
    try:
        return _PINS.validate_json(said)[:MAX_PLACES] if said.strip() else ()
    except ValidationError:
        logger.warning("the page sent places that are none")
        return ()


def prompts_of(pins: tuple[Pin, ...], ids: dict[str, str]) -> tuple[Pointed, ...]:
    """Return one prompt for each image that was pointed into.

    Args:
        pins: points and boxes.
        ids: for an image that was not attached yet, the id that it gets.
    """
    from agent.pointing import Pointed
    from tools.verbs.prompting import SegmentPrompt

    found = []
    for image in dict.fromkeys(p.image for p in pins):
        if is_waiting(image) and image not in ids:
            logger.warning("a place lies in a series that is not attached: %s", image)
            continue
        own = [p for p in pins if p.image == image]
        points = [list(p.voxels[0]) for p in own if p.kind == "point"]
        box = next(([list(v) for v in p.voxels] for p in reversed(own) if p.kind == "box"), [])
        found.append(Pointed(image=ids.get(image, image), prompt=SegmentPrompt(points=points, box=box)))
    return tuple(found)
