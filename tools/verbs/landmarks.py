"""landmarks: named points of the anatomy, in voxels and in millimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import Cost, ImageRef, MaskRef, ToolContext, tool
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import Point, Points

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.runtimes.base import FoundPoint

KEY_IMAGE = "key-image.png"
MARK_MM = 5.0  # radius of a point's mark in the key image


@tool(
    precheck=needs_model("landmarks", "targets"),
    cost=Cost(seconds=20),
    examples=examples_of("landmarks"),
)
def landmarks(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to look in")],
    targets: Annotated[
        list[str] | None, Field(description="names of the points; none: all that the model knows")
    ] = None,
    mask: Annotated[
        MaskRef | None,
        Field(description="outlined structures of this image to take points from; none: they are outlined first"),
    ] = None,
) -> Points:
    """Find named anatomical points, such as the carina, and give their coordinates in mm.

    Points are taken from outlined structures: those of `mask`, or those that a model outlines first. What cannot be
    found is said, with the reason.

    Raises:
        UnsupportedError: no model knows these points on this kind of image; says why.
    """
    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("landmarks", facts, tuple(targets or ()))
    names = tuple(dict.fromkeys(choice.card.named(word) or word for word in targets or choice.card.targets))
    volume = ctx.workspace.volume(image)
    outlines = _given(ctx, image, mask, volume) if mask else {}
    notes: list[str] = []
    names, needs = ctx.hub.use(choice, lambda runtime: _needed(runtime, names)).value
    missing = [structure for structure in needs if structure not in outlines]
    outlines |= _outlined(ctx, image, volume, missing, notes)
    used = ctx.hub.use(choice, lambda runtime: _find(runtime, volume, names, outlines, ctx))
    points = tuple(_point(found, volume) for found in used.value)
    have = [point.name for point in points]
    lost = [name for name in names if name not in have]
    ctx.progress(0.92, "drawing the key image")
    shown = _draw(ctx, image, volume, points)
    return Points(
        summary=_summary(points, lost, choice.card.title),
        files=(KEY_IMAGE,),
        figures=(KEY_IMAGE,),
        model=used.model,
        notes=(
            *used.notes,
            *notes,
            *choice.card.facts_needed.unsure(facts),
            *choice.card.limits_for(have),
            f"Key image: {shown}.",
        ),
        image=image,
        points=points,
    )


def _needed(runtime: Any, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the single points meant, and the structures they are taken from: none for a runtime that needs none."""
    if not hasattr(runtime, "structures"):
        return names, ()
    return tuple(runtime.single(names)), tuple(runtime.structures(names))


def _find(
    runtime: Any, volume: Volume, names: Sequence[str], outlines: Mapping[str, BoolArray], ctx: ToolContext
) -> Sequence[FoundPoint]:
    def progress(done: float, what: str) -> None:
        ctx.progress(0.7 + 0.2 * done, what)

    if hasattr(runtime, "structures"):
        found: Sequence[FoundPoint] = runtime.landmarks_of(volume, outlines, names, progress)
        return found
    own: Sequence[FoundPoint] = runtime.landmarks(volume, names, progress)
    return own


def _given(ctx: ToolContext, image: str, mask: str, volume: Volume) -> dict[str, BoolArray]:
    if (owner := ctx.workspace.image_of(mask)) != image:
        raise BadInputError(f"mask: {mask!r} belongs to {owner}, not to {image}; name a mask of this image")
    outlines = {}
    for target, inside, grid in ctx.workspace.masks(mask):
        if not volume.same_grid(grid):
            raise BadInputError(f"mask: {target} of {mask!r} lies on another grid than {image}")
        outlines[target] = inside
    return outlines


def _outlined(
    ctx: ToolContext, image: str, volume: Volume, structures: Sequence[str], notes: list[str]
) -> dict[str, BoolArray]:
    """Outline what points are taken from, each with the model that the hub chooses; say what could not be had."""
    facts = ctx.workspace.image_facts(image)
    outlines: dict[str, BoolArray] = {}
    said: dict[str, list[str]] = {}
    for number, structure in enumerate(structures):
        at = number / max(1, len(structures))
        ctx.progress(0.05 + 0.6 * at, f"outlining {readable(structure)}")
        try:
            choice = ctx.hub.choose("segment", facts, (structure,))
            used = ctx.hub.use(choice, partial(_one_outline, volume=volume, structure=structure))
        except (UnsupportedError, UnavailableError) as error:
            said.setdefault(f"could not be outlined: {str(error).rstrip('.')}", []).append(readable(structure))
            continue
        outlines[structure] = used.value
        said.setdefault(f"outlined with {choice.card.title}", []).append(readable(structure))
    notes += [f"{', '.join(names).capitalize()}: {what}." for what, names in said.items()]
    return outlines


def _one_outline(runtime: Any, volume: Volume, structure: str) -> BoolArray:
    from tools.models.runtimes.base import silent

    mask: BoolArray = runtime.segment(volume, (structure,), silent).masks[structure]
    return mask


def _point(found: FoundPoint, volume: Volume) -> Point:
    from tools.imaging.geometry import voxel_to_world

    position_mm = None
    if volume.spacing_source is not None and volume.orientation_known:
        x, y, z = (round(float(n), 2) + 0.0 for n in voxel_to_world(volume, np.array(found.voxel)))
        position_mm = (x, y, z)
    i, j, k = (round(float(n), 2) for n in found.voxel)
    return Point(name=found.name, voxel=(i, j, k), position_mm=position_mm, score=found.score)


def _summary(points: Sequence[Point], lost: Sequence[str], title: str) -> str:
    places = []
    for point in points[:6]:
        place = point.position_mm or point.voxel
        unit = "mm, RAS+" if point.position_mm else "voxel"
        places.append(f"{readable(point.name)} at ({', '.join(f'{n:.1f}' for n in place)}) {unit}")
    more = f" and {len(points) - 6} more" if len(points) > 6 else ""
    said = f"Found {'; '.join(places)}{more}, with {title}." if points else ""
    missing = f"Not found: {', '.join(readable(name) for name in lost)}." if lost else ""
    return " ".join(part for part in (said, missing) if part) or f"{title} knows no point for this image."


def _draw(ctx: ToolContext, image: str, volume: Volume, points: Sequence[Point]) -> str:
    """Write a picture with a ball at each point and return what it shows."""
    from tools.imaging.render import overlay_png

    marks = {readable(point.name): _ball(point, volume) for point in points}
    count = "1 landmark" if len(points) == 1 else f"{len(points)} landmarks" if points else "no landmark found"
    return overlay_png(volume, marks, ctx.folder / KEY_IMAGE, title=f"{image}: {count}")


def _ball(point: Point, volume: Volume) -> BoolArray:
    steps = np.linalg.norm(volume.affine_ras[:3, :3], axis=0)
    mask = np.zeros(volume.shape, np.bool_)
    centre = np.array(point.voxel)
    reach = np.ceil(MARK_MM / steps)
    spans = [
        slice(max(0, int(c - r)), min(n, int(c + r) + 2)) for c, r, n in zip(centre, reach, volume.shape, strict=True)
    ]
    grids = np.ogrid[spans[0], spans[1], spans[2]]
    distance = sum(((grid - c) * step) ** 2 for grid, c, step in zip(grids, centre, steps, strict=True))
    mask[spans[0], spans[1], spans[2]] = np.asarray(distance) <= MARK_MM**2
    return mask
