"""Rows of a comparison: the same quantity of the same structure in two studies, and lesions one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.changes import ChangeRow
from tools.comparison.limits import is_lesion, judged
from tools.errors import UnsupportedError
from tools.measuring.intensity import intensity
from tools.measuring.size import diameter, volume
from tools.measuring.structure import Structure
from tools.registration.register import resampled_mask

if TYPE_CHECKING:
    from tools.comparison.sources import Outlined
    from tools.imaging.volume import BoolArray, Volume
    from tools.results import Measurement
    from tools.workspace import Workspace

REACH_MM = 5.0
"""Lesions of two aligned studies are the same one when they come within this of each other: about the error of an
alignment of a trunk, and the least growth that RECIST 1.1 counts."""


def compared(workspace: Workspace, current: Outlined, prior: Outlined, notes: list[str]) -> Iterator[ChangeRow]:
    """Yield the rows of all structures that both studies show, and those that only one of them shows."""
    for target in current.masks:
        now, before = (_structure(workspace, one, target) for one in (current, prior))
        if now is None and before is None:
            notes.append(f"{target}: found in neither study")
        elif now is None or before is None:
            yield _one_sided(target, now, before, (current.image, prior.image), notes)
        else:
            yield from _both(now, before, notes)


def _structure(workspace: Workspace, one: Outlined, target: str) -> Structure | None:
    inside = one.masks[target]
    if not inside.any():
        return None
    return Structure(target, inside, workspace.volume(one.image), one.image, one.made_by[target])


def _both(now: Structure, before: Structure, notes: list[str]) -> Iterator[ChangeRow]:
    later, earlier = measured(now, notes), measured(before, notes)
    for quantity, row in later.items():
        if quantity in earlier and earlier[quantity].unit == row.unit:
            yield row_of(row, earlier[quantity], (now.image, before.image))


def measured(structure: Structure, notes: list[str]) -> dict[str, Measurement]:
    """Return the quantities that are compared, by name."""
    methods = [volume, *([diameter] if is_lesion(structure.target) else [])]
    methods += [intensity] if structure.volume.units == "HU" else []
    rows: list[Measurement] = []
    for method in methods:
        try:
            rows += method(structure, notes)
        except UnsupportedError as error:
            notes.append(f"{structure.target} in {structure.image}: {error}")
    return {
        row.quantity: row for row in rows if row.uncertainty is not None and row.quantity != "perpendicular_diameter"
    }


def row_of(later: Measurement, earlier: Measurement, sources: tuple[str, str]) -> ChangeRow:
    """Return one row from the same quantity in two studies."""
    spread = (earlier.uncertainty or 0.0, later.uncertainty or 0.0)
    verdict = judged(later.target, later.quantity, (earlier.value, later.value), spread)
    difference = later.value - earlier.value
    is_scale = later.unit != "HU"  # a percentage of Hounsfield units means nothing: their zero is water
    return ChangeRow(
        target=later.target,
        quantity=later.quantity,
        status=verdict.status,
        current=later.value,
        prior=earlier.value,
        unit=later.unit,
        difference=difference,
        percent=100 * difference / earlier.value if is_scale and earlier.value else None,
        uncertainty=float(np.hypot(*spread)),
        limit=verdict.limit,
        rule=verdict.rule,
        current_source=sources[0],
        prior_source=sources[1],
        current_where=later.where,
        prior_where=earlier.where,
    )


def _one_sided(
    target: str, now: Structure | None, before: Structure | None, images: tuple[str, str], notes: list[str]
) -> ChangeRow:
    shown = now or before
    assert shown is not None  # noqa: S101  for the type checker: one of both is there
    row = volume(shown, notes)[0]
    return ChangeRow(
        target=target,
        quantity=row.quantity,
        status="new" if now else "resolved",
        current=row.value if now else None,
        prior=row.value if before else None,
        unit=row.unit,
        uncertainty=row.uncertainty,
        rule="outlined in one study, looked for and not found in the other",
        current_source=images[0],
        prior_source=images[1],
        current_where=row.where if now else None,
        prior_where=row.where if before else None,
    )


def lesions(current: Structure, prior: tuple[BoolArray, Volume], transform: Any, image: str) -> Iterator[ChangeRow]:
    """Yield one row a lesion: pieces of a mask that come near each other in the aligned studies are the same one.

    Args:
        current: the later study's lesions.
        prior: the earlier study's, on their own grid.
        transform: from points of the later study to points of the earlier one.
        image: id of the earlier study.
    """
    import cc3d
    from scipy.ndimage import distance_transform_edt

    moved = resampled_mask(prior[0], prior[1], current.volume, transform)
    pieces = [cc3d.connected_components(m, connectivity=26, binary_image=True) for m in (current.inside, moved)]
    counts = [int(p.max()) for p in pieces]
    if max(counts) < 2 and min(counts) > 0:
        return  # one lesion: the structure's own row says it all
    voxel_ml = current.volume.voxel_volume_mm3 / 1000
    near = _near(pieces, counts, current.volume, distance_transform_edt)
    for number in range(1, counts[0] + 1):
        partners = [m for n, m in near if n == number]
        yield _lesion(current, number, pieces, partners, (voxel_ml, image))
    lost = [m for m in range(1, counts[1] + 1) if not any(m == other for _, other in near)]
    for place, number in enumerate(lost, counts[0] + 1):
        size = float(np.count_nonzero(pieces[1] == number)) * voxel_ml
        yield _single(current.target, place, "resolved", size, (current.image, image))


def _near(pieces: Sequence[Any], counts: Sequence[int], grid: Volume, distance: Any) -> list[tuple[int, int]]:
    spacing = grid.spacing_mm
    found = []
    for number in range(1, counts[0] + 1):
        reach = distance(pieces[0] != number, sampling=spacing) <= REACH_MM
        found += [(number, int(m)) for m in np.unique(pieces[1][reach]) if m]
    return found


def _lesion(
    current: Structure, number: int, pieces: Sequence[Any], partners: Sequence[int], at: tuple[float, str]
) -> ChangeRow:
    voxel_ml, image = at
    now = float(np.count_nonzero(pieces[0] == number)) * voxel_ml
    if not partners:
        return _single(current.target, number, "new", now, (current.image, image))
    before = float(np.count_nonzero(np.isin(pieces[1], partners))) * voxel_ml
    from tools.measuring.boundary import boundary_of

    spread = [boundary_of(m).half_voxel * voxel_ml for m in (np.isin(pieces[1], partners), pieces[0] == number)]
    verdict = judged(current.target, "volume", (before, now), (spread[0], spread[1]))
    return ChangeRow(
        target=f"{current.target}_{number}",
        quantity="volume",
        status=verdict.status,
        current=now,
        prior=before,
        unit="ml",
        difference=now - before,
        percent=100 * (now - before) / before,
        uncertainty=float(np.hypot(spread[0], spread[1])),
        limit=verdict.limit,
        rule=verdict.rule,
        current_source=current.image,
        prior_source=image,
    )


def _single(target: str, number: int, status: Any, size_ml: float, sources: tuple[str, str]) -> ChangeRow:
    return ChangeRow(
        target=f"{target}_{number}",
        quantity="volume",
        status=status,
        current=size_ml if status == "new" else None,
        prior=size_ml if status == "resolved" else None,
        unit="ml",
        rule=f"nothing of the other study within {REACH_MM:g} mm after alignment",
        current_source=sources[0],
        prior_source=sources[1],
    )


def cut_by_the_edge(inside: BoolArray) -> bool:
    """Return whether a mask touches the first or last slice of a volume: then it may go on beyond."""
    return any(bool(np.take(inside, end, axis).any()) for axis in range(3) for end in (0, -1) if inside.shape[axis] > 1)
