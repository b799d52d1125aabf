"""Two radiographs of one view compared: aligned in their plane, a difference picture, and what their masks measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.changes import Change, ChangeRow
from tools.comparison.between import Made, Sides, change_of
from tools.comparison.films import MAP, align_films, difference_png, require_film, require_one_view
from tools.comparison.pairs import compared, row_of
from tools.comparison.sources import Outlined, outlines, study_date
from tools.errors import BadInputError, UnsupportedError
from tools.measuring.ratio import ratios
from tools.measuring.structure import Structure
from tools.registration.matching import require_same_patient, require_same_region

if TYPE_CHECKING:
    from tools.contract import ToolContext
    from tools.results import ModelUse

USUAL_ON_FILMS = (("heart", "lungs"), ("lungs",))
_WEAK = 0.7  # correlation below which a careful reader looks first


def compare_films(ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]) -> Change:
    """Compare two films of one view and patient.

    Args:
        ctx: the step's.
        pair: the later and the earlier film.
        names: structures to compare; None: heart and lungs, where they can be outlined.
        notes: what is to be said already.

    Raises:
        UnsupportedError: two patients, views or body parts, or films that do not fit each other; says which.
        BadInputError: the same film twice, or one without content.
    """
    current, prior = pair
    if current == prior:
        raise BadInputError(f"prior: it is {current} itself; name two different images")
    facts = [ctx.workspace.image_facts(i) for i in pair]
    if not require_same_patient(ctx.workspace, current, prior):
        notes.append("The headers do not say whether both studies are of the same patient.")
    require_same_region(*facts)
    require_one_view(*facts)
    notes += [
        f"{f.id} does not name its view; that both are of one view was taken as given." for f in facts if not f.view
    ]
    films = [ctx.workspace.volume(i) for i in pair]
    for film, image in zip(films, pair, strict=True):
        require_film(film, image)
    found = align_films(films[0], films[1], lambda f, what: ctx.progress(0.05 + 0.6 * f, what), ctx.seed)
    notes.append(
        f"{prior} was laid on {current} in the plane (affine): correlation {found.before:.3f} before, "
        f"{found.after:.3f} after, {100 * found.overlap:.0f} % covered; sizes are measured on each film's own pixels."
    )
    if found.after < _WEAK:
        notes.append(f"The fit is weak (correlation {found.after:.2f}): look at the difference picture with care.")
    ctx.progress(0.7, "outlining both films")
    rows, model = _rows(ctx, pair, names, notes)
    ctx.progress(0.9, "drawing the difference")
    difference_png(films[0], films[1], found, ctx.folder / MAP, f"{current} against {prior}, aligned")
    notes.append("In the difference, gray values were fitted to each other: exposure, breath and posture differ too.")
    said = f"{current} against {prior}: aligned; nothing was outlined in both, no size was compared: see {MAP}."
    dates = study_date(ctx.workspace, current), study_date(ctx.workspace, prior)
    return change_of(Sides(current, prior, *dates), Made(rows, notes, (MAP,), (MAP,), model, said=said))


def _rows(
    ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]
) -> tuple[list[ChangeRow], ModelUse | None]:
    wanted: Sequence[Sequence[str] | None] = [names] if names else [None, *USUAL_ON_FILMS]
    refused = ""
    for candidate in wanted:
        try:
            now, before = outlines(ctx, pair, candidate, notes, usual=())
        except UnsupportedError as error:
            refused = str(error)
            continue
        return [*compared(ctx.workspace, now, before, notes), *_ratio_rows(ctx, now, before, notes)], now.model
    if names:
        raise UnsupportedError(refused)
    notes.append(f"No size was compared: {refused}")
    return [], None


def _ratio_rows(ctx: ToolContext, now: Outlined, before: Outlined, notes: list[str]) -> list[ChangeRow]:
    """Compare the ratios that both films' masks make, the cardiothoracic one above all; none needs millimetres."""
    both = []
    for one in (now, before):
        structures = [
            Structure(t, inside, ctx.workspace.volume(one.image), one.image, one.made_by[t])
            for t, inside in one.masks.items()
            if inside.any()
        ]
        try:
            both.append({(r.target, r.quantity): r for r in ratios(structures, notes)} if len(structures) > 1 else {})
        except BadInputError:
            both.append({})
    later, earlier = both
    return [row_of(later[key], earlier[key], (now.image, before.image)) for key in later if key in earlier]
