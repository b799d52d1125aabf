"""Two volumes compared: aligned, measured on each study's own voxels, lesions one by one, with a change map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tools.changes import CHANGE_MASKS, Change, ChangeRow
from tools.claims import readable
from tools.comparison.between import Made, Sides, change_of
from tools.comparison.limits import is_lesion
from tools.comparison.pairs import compared, cut_by_the_edge, lesions
from tools.comparison.picture import MAP, change_map
from tools.comparison.sources import Outlined, outlines, study_date
from tools.measuring.structure import Structure
from tools.registration.register import Alignment, aligned, check_pair, resampled_mask

if TYPE_CHECKING:
    from tools.contract import ToolContext

BLAND_ALTMAN = "bland-altman.png"
MIN_PAIRS = 3
_RIGID_PARTS = frozenset({"HEAD", "BRAIN", "SKULL"})


def compare_volumes(ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]) -> Change:
    """Compare two volumes of one modality and patient.

    Args:
        ctx: the step's.
        pair: the later and the earlier image.
        names: structures to compare; None: whatever can be.
        notes: what is to be said already.

    Raises:
        UnsupportedError: two patients, body parts, or nothing that both show; says which.
        BadInputError: the same study twice, or a mask that does not fit its image.
    """
    current, prior = pair
    patient = check_pair(ctx.workspace, current, prior)
    if not patient:
        notes.append("The headers do not say whether both studies are of the same patient.")
    ctx.progress(0.05, "outlining both studies")
    now, before = outlines(ctx, (current, prior), names, notes)
    kind: Literal["rigid", "affine"] = (
        "rigid" if ctx.workspace.image_facts(current).body_part in _RIGID_PARTS else "affine"
    )
    found = aligned(ctx.workspace, (current, prior), kind, lambda f, what: ctx.progress(0.2 + 0.5 * f, what), ctx.seed)
    notes.append(_alignment_note(found, kind, current, prior))
    ctx.progress(0.72, "measuring both studies")
    rows = list(compared(ctx.workspace, now, before, notes))
    for row_target in [t for t in now.masks if _is_followed(t, now, before)]:
        structure = Structure(
            row_target, now.masks[row_target], ctx.workspace.volume(current), current, now.made_by[row_target]
        )
        rows += lesions(structure, (before.masks[row_target], ctx.workspace.volume(prior)), found.transform, prior)
    notes += _edge_notes(now, before)
    dates = study_date(ctx.workspace, current), study_date(ctx.workspace, prior)
    figures, masks = _pictures(ctx, (now, before), found, rows)
    return change_of(Sides(current, prior, *dates), Made(rows, notes, (*figures, *masks), figures, now.model))


def _is_followed(target: str, now: Outlined, before: Outlined) -> bool:
    return is_lesion(target) and bool(now.masks[target].any()) and bool(before.masks[target].any())


def _alignment_note(found: Alignment, kind: str, current: str, prior: str) -> str:
    back = found.quality.inverse_mean_mm
    sure = "" if back is None else f", there and back again points miss by {back:.2f} mm on average"
    fit = found.quality.correlation_after if found.same_modality else found.quality.nmi_after
    word = "correlation" if found.same_modality else "normalised mutual information"
    return (
        f"{prior} was aligned with {current} ({kind}): {word} {fit:.3f}{sure}; sizes are measured on each study's own "
        "voxels."
    )


def _edge_notes(now: Outlined, before: Outlined) -> list[str]:
    """Say which structures a field of view may have cut: then a difference may be one of coverage."""
    return [
        f"{readable(target)} reaches the edge of {one.image}: it may be cut there, and its change be one of coverage"
        for one in (now, before)
        for target, inside in one.masks.items()
        if inside.any() and cut_by_the_edge(inside)
    ]


def _pictures(
    ctx: ToolContext, both: tuple[Outlined, Outlined], found: Alignment, rows: Sequence[ChangeRow]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from tools.imaging.plots import bland_altman_png

    ctx.progress(0.9, "drawing the change map")
    now, before = both
    volumes = [ctx.workspace.volume(one.image) for one in both]
    union = [np.logical_or.reduce(list(one.masks.values())) for one in both]
    moved = resampled_mask(union[1], volumes[1], volumes[0], found.transform)
    change_map(volumes[0], union[0], moved, ctx.folder, f"{now.image} against {before.image}, aligned")
    pairs = [
        (r.prior, r.current) for r in rows if r.quantity == "volume" and r.prior is not None and r.current is not None
    ]
    masks = tuple(CHANGE_MASKS.values())
    if len(pairs) < MIN_PAIRS:
        return (MAP,), masks
    title = f"volumes in {now.image} and {before.image}"
    bland_altman_png([p for p, _ in pairs], [c for _, c in pairs], ctx.folder / BLAND_ALTMAN, unit="ml", title=title)
    return (MAP, BLAND_ALTMAN), masks
