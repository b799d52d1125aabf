"""The verb segment: outline anatomy, one mask a target, in the image's own geometry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from tools.claims import readable
from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import resolve
from tools.results import MaskEntry, Masks

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.hub import Choice, Hub
    from tools.models.runtimes.base import Segmentation, SegmentRuntime

MAX_TARGETS = 128  # one more than TotalSegmentator has classes, so that a slip cannot fill the disk
KEY_IMAGE = "key-image.png"


def _serves(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    """Refuse before anything runs what no model can outline on this image."""
    targets = resolve_targets(args["targets"], hub.targets("segment"))
    image = facts.get(str(args["image"]).removeprefix("@"))
    if image is not None:
        hub.choose("segment", image, targets)


def resolve_targets(words: Sequence[str], named: Collection[str] = ()) -> tuple[str, ...]:
    """Return the targets that words mean, each once, in the order asked for.

    Args:
        words: everyday words or class names.
        named: targets that model cards name; they need not be anatomy, as a lesion that a person trained is not.

    Raises:
        BadInputError: no word, a word that means nothing known, or more targets than one step may have.
    """
    meant = [(plain,) if (plain := _plain(word)) in named else resolve(word) for word in words]
    targets = tuple(dict.fromkeys(target for found in meant for target in found))
    if not targets:
        raise BadInputError("targets: name at least one structure, such as lungs or liver; got an empty list")
    if len(targets) > MAX_TARGETS:
        raise BadInputError(f"targets: at most {MAX_TARGETS} in one step, got {len(targets)}; use several steps")
    return targets


def _plain(word: str) -> str:
    return "_".join(word.lower().split())


@tool(
    precheck=_serves,
    cost=Cost(seconds=6),
    examples=examples_of("segment"),
)
def segment(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to outline structures in")],
    targets: Annotated[
        list[str],
        Field(
            min_length=1,
            description="what to outline: anatomical names such as lungs, lung_left, liver, kidney_left, brain, bones",
        ),
    ],
) -> Masks:
    """Outline organs and other anatomical structures in an image; makes one mask per target.

    The hub chooses the model by modality, body part and targets. Masks are NIfTI files on exactly the image's grid; a
    key image shows them on the slices where they are largest.

    Raises:
        BadInputError: a target is not known, or the voxels are not usable.
        UnsupportedError: no model finds these targets on this kind of image; says why.
        UnavailableError: the model's weights or package are missing; says how to get them.
    """
    from tools.imaging.nifti import write_nifti

    names = resolve_targets(targets, ctx.hub.targets("segment"))
    choice = ctx.hub.choose("segment", ctx.workspace.image_facts(image), names)
    ctx.progress(0.02, f"{choice.card.title}: loading")
    volume = ctx.workspace.volume(image)
    used = ctx.hub.use(choice, lambda runtime: _outlined(runtime, volume, names, ctx))
    found = used.value
    entries = []
    for number, name in enumerate(names):
        mask = _checked(found, name, volume.shape)
        ctx.progress(0.8 + 0.1 * number / len(names), f"writing {name}")
        file = f"{name}.nii.gz"
        write_nifti(ctx.folder / file, mask, like=volume)
        entries.append(MaskEntry(target=name, file=file, voxels=int(np.count_nonzero(mask))))
    ctx.progress(0.92, "drawing the key image")
    shown = _draw(ctx, image, volume, {e.target: found.masks[e.target] for e in entries if e.voxels})
    return Masks(
        summary=_summary(entries, choice),
        files=(*(entry.file for entry in entries), KEY_IMAGE),
        figures=(KEY_IMAGE,),
        model=used.model,
        notes=(*used.notes, *found.notes, *choice.card.limits_for(names), f"Key image: {shown}."),
        image=image,
        masks=tuple(entries),
    )


def _draw(ctx: ToolContext, image: str, volume: Volume, masks: Mapping[str, BoolArray]) -> str:
    """Write the key image and return what it shows."""
    from tools.imaging.render import overlay_png
    from tools.imaging.slices import preset_for

    named = {readable(target): mask for target, mask in masks.items()}
    title = f"{image}: {_listed(list(named)) if named else 'nothing found'}"
    return overlay_png(volume, named, ctx.folder / KEY_IMAGE, title=title, preset=preset_for(volume, masks))


def _outlined(runtime: SegmentRuntime, volume: Volume, names: Sequence[str], ctx: ToolContext) -> Segmentation:
    return runtime.segment(volume, names, lambda done, what: ctx.progress(0.05 + 0.75 * done, what))


def _checked(found: Segmentation, name: str, shape: tuple[int, int, int]) -> BoolArray:
    """Return a runtime's mask after checking that it is one: a wrong shape is the runtime's bug, not the user's."""
    mask = found.masks[name]
    if mask.shape != shape or mask.dtype != np.bool_:
        raise TypeError(f"runtime returned {mask.dtype} {mask.shape} for {name!r}, expected bool {shape}")
    return mask


def _summary(entries: Sequence[MaskEntry], choice: Choice) -> str:
    present = [readable(e.target) for e in entries if e.voxels]
    absent = [readable(e.target) for e in entries if not e.voxels]
    said = f"Outlined {_listed(present)} with {choice.card.title}." if present else ""
    missing = f"Looked for {_listed(absent)} with {choice.card.title} and found nothing." if absent else ""
    return " ".join(part for part in (said, missing) if part)


def _listed(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
