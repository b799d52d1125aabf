"""The verb segment: outline anatomy, one mask a target, in the image's own geometry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from tools.claims import not_outlined, readable
from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError
from tools.examples import examples_of
from tools.facts import AttachmentFacts
from tools.imaging.anatomy import resolve
from tools.models.shares import shares_of
from tools.places import Region
from tools.results import MaskEntry, Masks, NotOutlined
from tools.verbs.outlining import Outlined, listed, outline_prompted, outline_targets, require_alike
from tools.verbs.prompting import SegmentPrompt, mask_name

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.hub import Hub

MAX_TARGETS = 128  # one more than TotalSegmentator has classes, so that a slip cannot fill the disk
KEY_IMAGE = "key-image.png"


def _serves(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    """Refuse before anything runs what no model can outline on this image."""
    image = facts.get(str(args["image"]).removeprefix("@"))
    if args.get("prompt"):
        asked = SegmentPrompt.model_validate(args["prompt"])
        mask_name(args["targets"])
        if image is not None:
            hub.choose("segment", image, prompts=asked.kinds)
        return
    targets = resolve_targets(args["targets"], hub.targets("segment"))
    if image is not None:
        others = [str(each).removeprefix("@") for each in args.get("series") or ()]
        shares = shares_of(hub, "segment", image, targets, images=1 + len(others))
        require_alike(shares, [facts[each] for each in others if each in facts])


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
            description="what to outline: anatomical names such as lungs, lung_left, liver, kidney_left, brain, bones; "
            "with a prompt: one name for the mask",
        ),
    ],
    prompt: Annotated[
        SegmentPrompt | None,
        Field(description="what a person pointed at, for one structure: points, a box, a scribble or words"),
    ] = None,
    series: Annotated[
        list[ImageRef] | None,
        Field(description="further aligned series of the same examination, in the order of a model that takes several"),
    ] = None,
) -> Masks:
    """Outline organs and other anatomical structures in an image; makes one mask per target.

    The hub chooses the model by modality, body part and targets, or by the kind of prompt; targets that no single model
    finds, or none that can run here, are shared out, and what is left is said. Masks are NIfTI files on exactly the
    image's grid; a key image shows them on the slices where they are largest.

    Raises:
        BadInputError: a target is not known, or the voxels are not usable.
        UnsupportedError: no model finds these targets on this kind of image; says why.
        UnavailableError: the model's weights or package are missing; says how to get them.
    """
    volume = ctx.workspace.volume(image)
    left: tuple[NotOutlined, ...] = ()
    if prompt is not None:
        asked = SegmentPrompt.model_validate(prompt)
        outlined = [outline_prompted(ctx, image, asked, mask_name(targets))]
    else:
        resolved = resolve_targets(targets, ctx.hub.targets("segment"))
        outlined, left = outline_targets(ctx, image, tuple(series or ()), resolved)
    entries, masks = _written(ctx, image, volume, outlined)
    ctx.progress(0.92, "drawing the key image")
    shown = _draw(ctx, image, volume, masks)
    notes = [note for part in outlined for note in part.notes]
    return Masks(
        summary=" ".join([*(_summary(entries, part) for part in outlined), *not_outlined(left)]),
        files=(*(entry.file for entry in entries), KEY_IMAGE),
        figures=(KEY_IMAGE,),
        model=outlined[0].used,
        marks=tuple(dict.fromkeys(mark for part in outlined for mark in part.marks)),
        notes=(*dict.fromkeys(notes), f"Key image: {shown}."),
        image=image,
        masks=tuple(entries),
        not_outlined=left,
    )


def _written(
    ctx: ToolContext, image: str, volume: Volume, outlined: Sequence[Outlined]
) -> tuple[list[MaskEntry], dict[str, BoolArray]]:
    """Write each mask; return the entries and the masks that are not empty."""
    from tools.imaging.nifti import write_nifti
    from tools.imaging.whereabouts import region_of

    total = sum(len(part.masks) for part in outlined)
    entries: list[MaskEntry] = []
    present: dict[str, BoolArray] = {}
    for part in outlined:
        for name, mask in part.masks.items():
            ctx.progress(0.8 + 0.1 * len(entries) / total, f"writing {name}")
            file = f"{name}.nii.gz"
            write_nifti(ctx.folder / file, mask, like=volume)
            voxels = int(np.count_nonzero(mask))
            used = part.used if len(outlined) > 1 else None
            where = region_of(mask, volume, Region(image=image, mask=ctx.folder.name, target=name))
            entries.append(MaskEntry(target=name, file=file, voxels=voxels, model=used, where=where))
            if voxels:
                present[name] = mask
    return entries, present


def _draw(ctx: ToolContext, image: str, volume: Volume, masks: Mapping[str, BoolArray]) -> str:
    """Write the key image and return what it shows."""
    from tools.imaging.render import overlay_png
    from tools.imaging.slices import preset_for

    named = {readable(target): mask for target, mask in masks.items()}
    title = f"{image}: {listed(list(named)) if named else 'nothing found'}"
    return overlay_png(volume, named, ctx.folder / KEY_IMAGE, title=title, preset=preset_for(volume, masks))


def _summary(entries: Sequence[MaskEntry], part: Outlined) -> str:
    own = [e for e in entries if e.target in part.masks]
    present = [readable(e.target) for e in own if e.voxels]
    absent = [readable(e.target) for e in own if not e.voxels]
    said = f"Outlined {listed(present)} with {part.title}." if present else ""
    missing = f"Looked for {listed(absent)} with {part.title} and found nothing." if absent else ""
    return " ".join(text for text in (said, missing) if text)
