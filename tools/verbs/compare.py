"""compare: what changed between a study and its prior, with both sources and both dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tools.changes import Change
from tools.contract import REF_PATTERN, Cost, ImageRef, Ref, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.examples import examples_of
from tools.imaging.anatomy import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

PriorRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("image", "report", "measurements"))]


@tool(cost=Cost(seconds=120), timeout_s=3600, examples=examples_of("compare"))
def compare(
    ctx: ToolContext,
    current: Annotated[ImageRef, Field(description="the study of today")],
    prior: Annotated[
        PriorRef | None,
        Field(
            description="the earlier study: an image, an attached report, or measurements of it; none: it is looked "
            "for among what is attached and in earlier readings of the same patient"
        ),
    ] = None,
    targets: Annotated[list[str] | None, Field(description="structures to compare; none: whatever can be")] = None,
) -> Change:
    """Compare a study with its prior: aligned volumes or films, measurements, new and resolved findings.

    Masks of the reading are used where both studies have them, else a model outlines both. Each row says new, changed,
    unchanged or resolved, from which difference on, and who says so.

    Raises:
        NotFoundError: no prior was named and none was found; says where was looked.
        UnsupportedError: two patients, modalities or views, nothing that both studies show; says which.
        BadInputError: the same study twice, or a mask that does not fit its image.
    """
    from tools.comparison.prior import find_prior

    names = list(dict.fromkeys(t for word in targets for t in _named(word))) if targets else None
    if prior is None:
        found = find_prior(ctx, current)
        made = _compared(ctx, current, found.id, names)
        return made.model_copy(update={"found": found.why, "notes": (found.why, *made.notes)})
    return _compared(ctx, current, prior, names)


def _compared(ctx: ToolContext, current: str, prior: str, names: Sequence[str] | None) -> Change:
    from tools.comparison.of_words import compare_measurements, compare_report

    notes: list[str] = []
    kind = ctx.workspace.kind_of(prior)
    if kind == "image":
        return _with_image(ctx, (current, prior), names, notes)
    if kind == "report":
        return compare_report(ctx, (current, prior), names, notes)
    return compare_measurements(ctx, (current, prior), names, notes)


def _named(word: str) -> tuple[str, ...]:
    """Return the targets that a word means; a name that anatomy does not know may be that of an attached mask."""
    try:
        return resolve(word)
    except BadInputError:
        return (word.strip().replace(" ", "_"),)


def _with_image(ctx: ToolContext, pair: tuple[str, str], names: Sequence[str] | None, notes: list[str]) -> Change:
    """Compare two volumes, or two films; the later one first, however they were named."""
    from tools.comparison.films import FILMS
    from tools.comparison.of_films import compare_films
    from tools.comparison.of_volumes import compare_volumes
    from tools.comparison.sources import in_order

    facts = [ctx.workspace.image_facts(i) for i in pair]
    are_films = all(f.modality in FILMS and f.dims == 2 for f in facts)
    if facts[0].modality != facts[1].modality and not are_films:
        first, second = (f"{f.id} is {f.modality or 'of unknown modality'}" for f in facts)
        raise UnsupportedError(
            f"prior: {first} and {second}: a difference between them would be one of the scanners; attach a prior "
            "of the same modality"
        )
    ordered = in_order(ctx.workspace, *pair, notes)
    return compare_films(ctx, ordered, names, notes) if are_films else compare_volumes(ctx, ordered, names, notes)
