"""How segment gets its masks: which models share the targets out, and what each of them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.models.shares import shares_of
from tools.results import Mark, ModelUse, NotOutlined

if TYPE_CHECKING:
    from tools.contract import ToolContext
    from tools.facts import AttachmentFacts
    from tools.imaging.volume import BoolArray, Volume
    from tools.models.runtimes.base import Progress, Segmentation
    from tools.models.shares import Share
    from tools.verbs.prompting import SegmentPrompt


@dataclass(frozen=True)
class Outlined:
    """What one model outlined."""

    masks: Mapping[str, BoolArray]
    """Checked: bool, on the image's grid."""
    used: ModelUse
    title: str
    """The model's, for a reader."""
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


def require_alike(shares: Sequence[Share], others: Sequence[AttachmentFacts]) -> None:
    """Refuse a further image of an input that is not what the chosen model takes.

    Raises:
        UnsupportedError: one is of another modality or region; names it.
    """
    for share in shares:
        for facts in others:
            if reason := share.choice.card.facts_needed.refusal(facts):
                raise UnsupportedError(f"series: {reason}")


def outline_targets(
    ctx: ToolContext, image: str, series: Sequence[str], targets: Sequence[str]
) -> tuple[list[Outlined], tuple[NotOutlined, ...]]:
    """Outline targets with the models that the hub chooses, one after the other; say which no model here can outline.

    Raises:
        UnavailableError: no model for any of them can run here.
    """
    facts = ctx.workspace.image_facts(image)
    shares = shares_of(ctx.hub, "segment", facts, targets, images=1 + len(series))
    require_alike(shares, [ctx.workspace.image_facts(each) for each in series])
    able = [share for share in shares if not share.lacks]
    if not able and len(shares) > 1:
        raise UnavailableError("; ".join(f"{', '.join(share.targets)}: model {share.lacks}" for share in shares))
    volumes = [ctx.workspace.volume(each) for each in (image, *series)]
    outlined = []
    for number, share in enumerate(able or shares):
        card = share.choice.card
        progress = _progress(ctx, number, len(able or shares))
        progress(0.0, f"{card.title}: loading")
        call = partial(_segmented, volumes=volumes, targets=share.targets, progress=progress)
        used = ctx.hub.use(share.choice, call)
        masks = {name: _checked(used.value.masks[name], name, volumes[0].shape) for name in share.targets}
        notes = (*used.notes, *used.value.notes, *card.facts_needed.unsure(facts), *card.limits_for(share.targets))
        outlined.append(Outlined(masks, used.model, card.title, notes))
    left = tuple(
        NotOutlined(target=t, lacks=share.lacks) for share in shares if able and share.lacks for t in share.targets
    )
    return outlined, left


def _segmented(runtime: Any, volumes: Sequence[Volume], targets: Sequence[str], progress: Progress) -> Segmentation:
    if len(volumes) == 1:
        found: Segmentation = runtime.segment(volumes[0], targets, progress)
        return found
    if not hasattr(runtime, "segment_series"):
        raise BadInputError("series: the model for these targets takes one image; leave 'series' out")
    several: Segmentation = runtime.segment_series(volumes, targets, progress)
    return several


def outline_prompted(ctx: ToolContext, image: str, asked: SegmentPrompt, name: str) -> Outlined:
    """Outline what a prompt points at, with a model that takes this kind of prompt."""
    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("segment", facts, prompts=asked.kinds)
    volume = ctx.workspace.volume(image)
    prompt = asked.on(volume)
    progress = _progress(ctx, 0, 1)
    progress(0.0, f"{choice.card.title}: loading")
    used = ctx.hub.use(choice, lambda runtime: runtime.segment_prompted(volume, prompt, progress))
    masks = {name: _checked(used.value, name, volume.shape)}
    doubts = choice.card.facts_needed.unsure(facts)
    notes = (*used.notes, f"{name}: {asked.said}.", *doubts, *choice.card.limits_for((name,)))
    return Outlined(masks, used.model, choice.card.title, notes)


def _progress(ctx: ToolContext, number: int, count: int) -> Progress:
    """Return the progress of one of several models, as a part of the step's."""
    return lambda done, what: ctx.progress(0.02 + 0.78 * (number + done) / count, what)


def _checked(mask: BoolArray, name: str, shape: tuple[int, int, int]) -> BoolArray:
    """Return a runtime's mask after checking that it is one: a wrong shape is the runtime's bug, not the user's."""
    if mask.shape != shape or mask.dtype != np.bool_:
        raise TypeError(f"runtime returned {mask.dtype} {mask.shape} for {name!r}, expected bool {shape}")
    return mask


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words, cut after five."""
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
