"""What a comparison rests on: which study is the earlier one, its date, and outlines of the same structures in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.results import Image, Masks, ModelUse

if TYPE_CHECKING:
    from tools.contract import ToolContext
    from tools.imaging.volume import BoolArray
    from tools.workspace import Workspace

USUAL = ("lungs", "brain", "liver", "body")
"""What is outlined where nobody says what to compare: the first that a model here finds."""


@dataclass(frozen=True)
class Outlined:
    """Structures outlined in one image."""

    image: str
    masks: dict[str, BoolArray]
    made_by: dict[str, str]
    """Per structure: the id of the mask, or the image's own where this step outlined it."""
    model: ModelUse | None = None


def study_date(workspace: Workspace, image: str) -> str:
    """Return the study's date as 2026-01-31, or "" where the header is silent; of a made image, that of its source."""
    while image.startswith("s"):
        image = workspace.result(image, Image).source
    headers, _ = workspace.dicom_headers(image)
    digits = str(headers[0].get("StudyDate", "") or "") if headers else ""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 and digits.isdigit() else ""


def in_order(workspace: Workspace, current: str, prior: str, notes: list[str]) -> tuple[str, str]:
    """Return both images with the later one first; says so where they came the other way round."""
    dates = study_date(workspace, current), study_date(workspace, prior)
    facts = workspace.image_facts(current), workspace.image_facts(prior)
    why = ""
    if all(dates) and dates[0] < dates[1]:
        why = f"its study is of {dates[0]}, that of {prior} is of {dates[1]}"
    elif not all(dates) and facts[0].prior and not facts[1].prior:
        why = "it is marked as the prior"
    if not why:
        return current, prior
    notes.append(
        f"{current} was named as the current study and is the earlier one ({why}): compared the other way round."
    )
    return prior, current


def outlines(
    ctx: ToolContext,
    images: Sequence[str],
    targets: Sequence[str] | None,
    notes: list[str],
    usual: Sequence[str] = USUAL,
) -> list[Outlined]:
    """Return the same structures outlined in every image: by masks of this reading, else by a model.

    Args:
        ctx: the step's.
        images: one or more.
        targets: the structures; None: those that masks of the reading outline in all images, else the first of `usual`.
        notes: gets what the models say.
        usual: what a model is asked for where nobody says what.

    Raises:
        BadInputError: a mask lies on another grid than its image.
        UnsupportedError: nothing can be outlined in all images.
    """
    known = [_masks_of(ctx.workspace, image) for image in images]
    shared = [t for t in known[0] if all(t in masks for masks in known[1:])]
    wanted = list(targets) if targets else shared
    if wanted and all(t in shared for t in wanted):
        return [_read(ctx.workspace, image, masks, wanted) for image, masks in zip(images, known, strict=True)]
    refused = "no mask of this reading outlines the same structure in both"
    for candidate in [wanted] if wanted else [[name] for name in usual]:
        try:
            return [_by_model(ctx, image, candidate, notes) for image in images]
        except (UnsupportedError, UnavailableError) as error:
            refused = str(error)
    raise UnsupportedError(
        f"targets: nothing was outlined in both studies ({refused}); outline the same structure in each, or attach a "
        "mask of it for each"
    )


def _masks_of(workspace: Workspace, image: str) -> dict[str, str]:
    """Return target → id of the newest mask of an image."""
    found: dict[str, str] = {}
    for facts in workspace.facts().values():
        if facts.kind == "mask" and facts.of == image:
            found[facts.label or facts.id] = facts.id
    for artifact in workspace.artifacts():
        if artifact.kind == "mask" and artifact.data.get("image") == image:
            found |= {m.target: artifact.id for m in Masks.model_validate(artifact.data).masks}
    return found


def _read(workspace: Workspace, image: str, masks: dict[str, str], wanted: Sequence[str]) -> Outlined:
    volume = workspace.volume(image)
    inside: dict[str, BoolArray] = {}
    for mask_id in dict.fromkeys(masks[t] for t in wanted):
        for target, found, grid in workspace.masks(mask_id):
            if target not in wanted or masks[target] != mask_id:
                continue
            if not grid.same_grid(volume):
                raise BadInputError(
                    f"mask: {target!r} of {mask_id} lies on another grid than {image}, which it outlines"
                )
            inside[target] = found
    return Outlined(image, {t: inside[t] for t in wanted}, {t: masks[t] for t in wanted})


def _by_model(ctx: ToolContext, image: str, targets: Sequence[str], notes: list[str]) -> Outlined:
    volume = ctx.workspace.volume(image)
    choice = ctx.hub.choose("segment", ctx.workspace.image_facts(image), targets)
    used = ctx.hub.use(
        choice, lambda runtime: runtime.segment(volume, targets, lambda _, what: ctx.progress(0.1, f"{image}: {what}"))
    )
    notes += [f"{image}: {note}" for note in used.value.notes]
    masks = {t: np.asarray(used.value.masks[t], bool) for t in targets}
    if not any(mask.any() for mask in masks.values()):
        raise UnsupportedError(f"{choice.card.title} found none of {', '.join(targets)} in {image}")
    return Outlined(image, masks, dict.fromkeys(targets, image), used.model)
