"""A study compared with what was written or measured of an earlier one: a report, or a table of this reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.changes import Change, Quote
from tools.claims import readable, shown
from tools.comparison.between import Made, Sides, change_of
from tools.comparison.pairs import measured, row_of
from tools.comparison.reported import StatedChange, report_date, stated_changes, stated_sizes
from tools.comparison.sources import Outlined, outlines, study_date
from tools.errors import BadInputError, UnsupportedError
from tools.measuring.structure import Structure
from tools.places import Span
from tools.registration.matching import require_same_patient
from tools.results import Measurement, Measurements

if TYPE_CHECKING:
    from tools.contract import ToolContext

MAX_QUOTED = 12


def compare_report(ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]) -> Change:
    """Compare what is measured now with the sizes that an earlier report states."""
    current, report = pair
    notes.append("Whether the report is of the same patient is not checked.")
    text = ctx.workspace.report_text(report)
    quoted = stated_changes(text, names)
    try:
        (now,) = outlines(ctx, (current,), names, notes)
    except UnsupportedError as error:
        if not quoted:
            raise
        return _by_words(ctx, pair, text, quoted, [*notes, f"{current} was not measured: {error}"])
    stated = stated_sizes(text, list(now.masks))
    if not stated and not quoted:
        raise UnsupportedError(
            f"prior: {report} states no volume or diameter of {', '.join(map(readable, now.masks))} in a sentence of "
            "its own, and no change in words; name a structure that it measures, or attach the earlier images"
        )
    if not stated:
        return _by_words(ctx, pair, text, quoted, [*notes, *_measured_now(ctx, now, notes)])
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
    sides = Sides(current, report, study_date(ctx.workspace, current), report_date(text))
    return change_of(sides, Made(rows, notes, model=now.model, quoted=_quotes(report, quoted)))


def compare_measurements(
    ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]
) -> Change:
    """Compare what is measured now with an earlier result of the reading."""
    current, table = pair
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
    return change_of(Sides(current, table, *dates), Made(rows, notes, model=now.model))


def _quotes(report: str, quoted: Sequence[StatedChange]) -> tuple[Quote, ...]:
    return tuple(
        Quote(sentence=q.sentence, says=q.says, where=Span(report=report, start=q.start, end=q.start + len(q.sentence)))
        for q in quoted[:MAX_QUOTED]
    )


def _measured_now(ctx: ToolContext, now: Outlined, notes: list[str]) -> list[str]:
    """Say what the structures measure today, where the report has no size to set against it."""
    said = []
    for target, inside in now.masks.items():
        if inside.any():
            structure = Structure(target, inside, ctx.workspace.volume(now.image), now.image, now.made_by[target])
            rows = measured(structure, notes).values()
            said += [f"{now.image}: {readable(target)} {shown(r.value, r.unit)} ({r.quantity})" for r in rows]
    return said


def _by_words(
    ctx: ToolContext, pair: tuple[str, str], text: str, quoted: Sequence[StatedChange], notes: Sequence[str]
) -> Change:
    """Set what a report says of change in words beside what is measured now; no verdict is made of the two."""
    current, report = pair
    said = "; ".join(f"{q.says}: “{q.sentence}”" for q in quoted[:3])
    made = Made(
        rows=(),
        notes=(*notes, f"What {report} says of change is up to its own study; {current} may have changed since."),
        quoted=_quotes(report, quoted),
        said=f"{current} against {report}: no size could be compared. {report} says {said}",
    )
    return change_of(Sides(current, report, study_date(ctx.workspace, current), report_date(text)), made)
