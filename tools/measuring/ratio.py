"""Ratios: of two volumes or areas, left to right, and the cardiothoracic ratio of a chest film."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import BadInputError
from tools.measuring.structure import Structure, Uncertainty
from tools.results import Measurement

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray

_LUNGS = frozenset({"lungs", "lung_left", "lung_right"})


def ratios(structures: Sequence[Structure], notes: list[str]) -> list[Measurement]:
    """Return the ratios that a mask's structures make; none needs millimetres, for they cancel.

    A heart and lungs on a film: the cardiothoracic ratio. Structures that come as left and right: left ÷ right.
    Otherwise exactly two structures: the first ÷ the second.

    Raises:
        BadInputError: the structures make no ratio.
    """
    by_name = {s.target: s for s in structures}
    rows: list[Measurement] = []
    if "heart" in by_name and _LUNGS & set(by_name) and structures[0].volume.dims == 2:
        rows.append(_cardiothoracic(by_name, notes))
    pairs = [(name, name.replace("_left", "_right")) for name in by_name if "_left" in name]
    rows += [_size_ratio(by_name[a], by_name[b]) for a, b in pairs if b in by_name]
    if not rows and len(structures) == 2:
        rows.append(_size_ratio(*structures))
    if not rows:
        named = ", ".join(f"{s.target} ({s.voxels} voxels)" for s in structures)
        raise BadInputError(
            "quantities: a ratio needs a mask with exactly two structures, or structures of a left and a right side, "
            f"or heart and lungs on a film; got {named}"
        )
    return rows


def _size_ratio(first: Structure, second: Structure) -> Measurement:
    kind = "area" if first.volume.dims == 2 else "volume"
    value = first.voxels / second.voxels
    relative = np.hypot(first.boundary.half_voxel / first.voxels, second.boundary.half_voxel / second.voxels)
    return first.row(
        f"{kind}_ratio",
        value,
        "",
        f"{kind} of {first.target} ÷ {kind} of {second.target}",
        Uncertainty(float(value * relative), "either boundary moved by half a voxel, added in quadrature"),
    )


def _cardiothoracic(by_name: dict[str, Structure], notes: list[str]) -> Measurement:
    """Return the widest heart over the widest chest, both level with the film.

    Source: Danzer, Am J Med Sci 157 (1919) 513; the chest from lung border to lung border.
    """
    heart = by_name["heart"]
    lungs = [s for name, s in by_name.items() if name in _LUNGS]
    if "lungs" not in by_name and len(lungs) < 2:
        raise BadInputError(
            f"quantities: the cardiothoracic ratio needs both lungs, got {lungs[0].target} only: outline 'lungs' too"
        )
    inside = np.logical_or.reduce([s.inside for s in lungs])
    axis = int(np.abs(heart.volume.affine_ras[0, :2]).argmax())
    heart_px, chest_px = _span(heart.inside, axis), _widest(inside, axis)
    if heart_px > chest_px:
        raise BadInputError(
            f"mask: the heart ({heart_px} pixels wide) is wider than the chest ({chest_px} pixels): outline them again"
        )
    view = heart.volume.header.get("ViewPosition", "")
    if view == "AP":
        notes.append("the film is AP: it magnifies the heart, so its ratio is larger than on a PA film")
    elif view != "PA":
        notes.append(
            "the film does not say that it is PA: on an AP film the heart is magnified and the ratio too large"
        )
    value = heart_px / chest_px
    relative = float(np.hypot(1 / heart_px, 1 / chest_px))
    return heart.row(
        "cardiothoracic_ratio",
        value,
        "",
        "widest heart ÷ widest chest between the outer lung borders (Danzer 1919)",
        Uncertainty(value * relative, "either end moved by half a pixel, added in quadrature"),
    )


def _span(inside: BoolArray, axis: int) -> int:
    """Return the extent over all rows: the heart's borders are at their widest at different heights."""
    along = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
    return int(along[-1] - along[0] + 1)


def _widest(inside: BoolArray, axis: int) -> int:
    """Return the widest extent in any one row."""
    rows = np.moveaxis(inside[:, :, 0], axis, 0)
    rows = rows[:, rows.any(axis=0)]
    first = rows.argmax(axis=0)
    last = rows.shape[0] - 1 - rows[::-1].argmax(axis=0)
    return int((last - first).max() + 1)
