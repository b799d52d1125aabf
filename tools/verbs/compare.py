"""compare: what changed between a study and its prior, with both sources and both dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from tools.changes import Change, ChangeRow
from tools.claims import readable, shown
from tools.contract import REF_PATTERN, Cost, ImageRef, Ref, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.examples import examples_of
from tools.imaging.anatomy import resolve
from tools.places import Span
from tools.results import Measurement, Measurements

if TYPE_CHECKING:
    from tools.comparison.sources import Outlined
    from tools.registration.register import Alignment

PriorRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("image", "report", "measurements"))]
BLAND_ALTMAN = "bland-altman.png"
MIN_PAIRS = 3
_RIGID_PARTS = frozenset({"HEAD", "BRAIN", "SKULL"})


@tool(cost=Cost(seconds=120), timeout_s=3600, examples=examples_of("compare"))
def compare(
    ctx: ToolContext,
    current: Annotated[ImageRef, Field(description="the study of today")],
    prior: Annotated[
        PriorRef, Field(description="the earlier study: an image, an attached report, or measurements of it")
    ],
    targets: Annotated[list[str] | None, Field(description="structures to compare; none: whatever can be")] = None,
) -> Change:
    """Compare a study with its prior: aligned volumes, measurements, new and resolved findings.

    Masks of the reading are used where both studies have them, else a model outlines both. Each row says new, changed,
    unchanged or resolved, from which difference on, and who says so.

    Raises:
        UnsupportedError: two patients, two modalities, nothing that both studies show; says which.
        BadInputError: the same study twice, or a mask that does not fit its image.
    """
    names = list(dict.fromkeys(t for word in targets for t in _named(word))) if targets else None
    kind = ctx.workspace.kind_of(prior)
    if kind == "image":
        return _with_image(ctx, current, prior, names)
    if kind == "report":
        return _with_report(ctx, current, prior, names)
    return _with_measurements(ctx, current, prior, names)


def _named(word: str) -> tuple[str, ...]:
    """Return the targets that a word means; a name that anatomy does not know may be that of an attached mask."""
    try:
        return resolve(word)
    except BadInputError:
        return (word.strip().replace(" ", "_"),)


@dataclass(frozen=True)
class _Sides:
    """What a comparison is between."""

    current: str
    prior: str
    current_date: str
    prior_date: str


def _with_image(ctx: ToolContext, current: str, prior: str, names: Sequence[str] | None) -> Change:
    from tools.comparison.pairs import compared, lesions
    from tools.comparison.sources import in_order, outlines, study_date
    from tools.measuring.structure import Structure
    from tools.registration.register import aligned, check_pair

    notes: list[str] = []
    patient = check_pair(ctx.workspace, current, prior)
    current, prior = in_order(ctx.workspace, current, prior, notes)
    _require_one_modality(ctx, current, prior)
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
    sides = _Sides(current, prior, *dates)
    return _change(sides, rows, notes, (*figures, *masks), figures, now)


def _is_followed(target: str, now: Outlined, before: Outlined) -> bool:
    from tools.comparison.limits import is_lesion

    return is_lesion(target) and bool(now.masks[target].any()) and bool(before.masks[target].any())


def _require_one_modality(ctx: ToolContext, current: str, prior: str) -> None:
    first, second = ctx.workspace.image_facts(current), ctx.workspace.image_facts(prior)
    if first.modality != second.modality:
        raise UnsupportedError(
            f"prior: {current} is {first.modality or 'of unknown modality'} and {prior} is "
            f"{second.modality or 'of unknown modality'}: a difference between them would be one of the scanners; "
            "attach a prior of the same modality"
        )


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
    from tools.comparison.pairs import cut_by_the_edge

    return [
        f"{readable(target)} reaches the edge of {one.image}: it may be cut there, and its change be one of coverage"
        for one in (now, before)
        for target, inside in one.masks.items()
        if inside.any() and cut_by_the_edge(inside)
    ]


def _pictures(
    ctx: ToolContext, both: tuple[Outlined, Outlined], found: Alignment, rows: Sequence[ChangeRow]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from tools.comparison.picture import MAP, MASKS, change_map
    from tools.imaging.plots import bland_altman_png
    from tools.registration.register import resampled_mask

    ctx.progress(0.9, "drawing the change map")
    now, before = both
    volumes = [ctx.workspace.volume(one.image) for one in both]
    union = [np.logical_or.reduce(list(one.masks.values())) for one in both]
    moved = resampled_mask(union[1], volumes[1], volumes[0], found.transform)
    change_map(volumes[0], union[0], moved, ctx.folder, f"{now.image} against {before.image}, aligned")
    pairs = [
        (r.prior, r.current) for r in rows if r.quantity == "volume" and r.prior is not None and r.current is not None
    ]
    if len(pairs) < MIN_PAIRS:
        return (MAP,), MASKS
    title = f"volumes in {now.image} and {before.image}"
    bland_altman_png([p for p, _ in pairs], [c for _, c in pairs], ctx.folder / BLAND_ALTMAN, unit="ml", title=title)
    return (MAP, BLAND_ALTMAN), MASKS


def _with_report(ctx: ToolContext, current: str, report: str, names: Sequence[str] | None) -> Change:
    """Compare what is measured now with the sizes that an earlier report states."""
    from tools.comparison.pairs import measured, row_of
    from tools.comparison.reported import report_date, stated_sizes
    from tools.comparison.sources import outlines, study_date
    from tools.measuring.structure import Structure

    notes: list[str] = ["Whether the report is of the same patient is not checked."]
    text = ctx.workspace.report_text(report)
    (now,) = outlines(ctx, (current,), names, notes)
    stated = stated_sizes(text, list(now.masks))
    if not stated:
        raise UnsupportedError(
            f"prior: {report} states no volume or diameter of {', '.join(map(readable, now.masks))} in a sentence of "
            "its own; name a structure that it measures, or attach the earlier images"
        )
    rows = []
    for size in stated:
        inside = now.masks[size.target]
        if not inside.any():
            notes.append(f"{size.target}: not found in {current}")
            continue
        structure = Structure(size.target, inside, ctx.workspace.volume(current), current, now.made_by[size.target])
        later = measured(structure, notes).get(size.quantity)
        if later is None:
            continue
        earlier = later.model_copy(update={"value": size.value, "uncertainty": size.step / 2, "where": None})
        span = Span(report=report, start=size.start, end=size.start + len(size.sentence))
        rows.append(row_of(later, earlier, (current, report)).model_copy(update={"prior_span": span}))
        notes.append(f"{report} says: “{size.sentence}”")
    sides = _Sides(current, report, study_date(ctx.workspace, current), report_date(text))
    return _change(sides, rows, notes, (), (), now)


def _with_measurements(ctx: ToolContext, current: str, table: str, names: Sequence[str] | None) -> Change:
    """Compare what is measured now with an earlier result of the reading."""
    from tools.comparison.pairs import measured, row_of
    from tools.comparison.sources import outlines, study_date
    from tools.measuring.structure import Structure
    from tools.registration.matching import require_same_patient

    notes: list[str] = []
    known = {(r.target, r.quantity): r for r in ctx.workspace.result(table, Measurements).rows}
    earlier_image = next(iter(known.values())).image if known else ""
    if not known or earlier_image == current:
        raise BadInputError(f"prior: {table} holds no measurement of another study than {current}")
    require_same_patient(ctx.workspace, current, earlier_image)
    wanted = names or list(dict.fromkeys(target for target, _ in known))
    (now,) = outlines(ctx, (current,), wanted, notes)
    rows = []
    for target, inside in now.masks.items():
        if inside.any():
            structure = Structure(target, inside, ctx.workspace.volume(current), current, now.made_by[target])
            later: dict[str, Measurement] = measured(structure, notes)
            shared = [q for q in later if (target, q) in known and known[target, q].unit == later[q].unit]
            rows += [row_of(later[q], known[target, q], (current, table)) for q in shared]
    dates = study_date(ctx.workspace, current), study_date(ctx.workspace, earlier_image)
    return _change(_Sides(current, table, *dates), rows, notes, (), (), now)


def _change(
    sides: _Sides,
    rows: Sequence[ChangeRow],
    notes: Sequence[str],
    files: tuple[str, ...],
    figures: tuple[str, ...],
    now: Outlined,
) -> Change:
    if not rows:
        raise UnsupportedError(
            f"nothing that {sides.current} and {sides.prior} both show could be measured: {'; '.join(notes)}"
        )
    dates = [
        f"{name}: study of {date}." if date else f"{name} does not say its date."
        for name, date in ((sides.current, sides.current_date), (sides.prior, sides.prior_date))
    ]
    return Change(
        summary=_summary(sides, rows),
        files=files,
        figures=figures,
        model=now.model,
        notes=tuple(dict.fromkeys((*dates, *notes))),
        current=sides.current,
        prior=sides.prior,
        current_date=sides.current_date,
        prior_date=sides.prior_date,
        rows=tuple(rows),
    )


def _summary(sides: _Sides, rows: Sequence[ChangeRow]) -> str:
    """Return the sizes' verdicts in one sentence."""
    sizes = [r for r in rows if r.quantity in ("volume", "area", "longest_diameter")] or list(rows)
    parts = []
    for row in sizes[:4]:
        by = "" if row.difference is None else f" by {shown(row.difference, row.unit)}"
        parts.append(f"{readable(row.target)} {row.status}{by if row.status == 'changed' else ''}")
    more = f"; and {len(sizes) - 4} more" if len(sizes) > 4 else ""
    return f"{sides.current} against {sides.prior}: {'; '.join(parts)}{more}."
