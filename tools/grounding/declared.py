"""What each kind of result declares to the checks: its quantities with their subject, and what it asserts.

A new kind of result gets one function here; a kind without one has its data read for numbers, units and words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from knowledge.vocabulary import load_vocabulary
from tools.changes import Change, ChangeRow
from tools.grounding.evidence import UNCERTAINTY, Assertion, BoxSaid, Declared, Quantity, Status, Trend, declares
from tools.results import Assessment, Box, Boxes, LabelScore, Masks, Measurement, Measurements, Points, Scores, Text
from tools.workspace import Artifact


@declares("measurements")
def measurements(artifact: Artifact) -> Declared:
    """Each row is a quantity of its target; a tool's own table may hold no rows."""
    if "rows" not in artifact.data:
        return Declared(is_complete=False)
    try:
        rows = Measurements.model_validate({"summary": "x", "rows": artifact.data["rows"]}).rows
    except ValueError:
        return Declared(is_complete=False)
    return Declared(
        quantities=tuple(quantity for row in rows for quantity in _quantities(row)),
        found=tuple(dict.fromkeys(row.target for row in rows)),
        is_complete=set(artifact.data) <= set(Measurements.model_fields),
    )


def _quantities(row: Measurement) -> Iterable[Quantity]:
    targets: tuple[str, ...] = (row.target,)
    if row.quantity.endswith("_ratio") and "÷" in row.method:
        targets = tuple(part.rpartition(" of ")[2].strip() for part in row.method.split("÷"))
    yield Quantity(row.value, row.unit, targets, row.quantity, row.image)
    if row.uncertainty is not None:
        yield Quantity(row.uncertainty, row.unit, targets, row.quantity + UNCERTAINTY, row.image)


@declares("change")
def change(artifact: Artifact) -> Declared:
    """Both values of a row, and their difference as it is said: signed for its direction, without sign for its size."""
    data = Change.model_validate(artifact.data)
    rows = data.rows
    return Declared(
        quantities=tuple(quantity for row in rows for quantity in _of_both(row)),
        found=tuple(dict.fromkeys(row.target for row in rows)),
        is_change=True,
        counts=(),
        dates=tuple((role, d) for role, d in (("current", data.current_date), ("prior", data.prior_date)) if d),
        trends=tuple(Trend(row.target, row.quantity, row.status, row.current, row.prior, row.unit) for row in rows),
    )


def _of_both(row: ChangeRow) -> Iterable[Quantity]:
    targets = (row.target,)
    for value, source in ((row.current, row.current_source), (row.prior, row.prior_source)):
        if value is not None:
            yield Quantity(value, row.unit, targets, row.quantity, source)
    for value, unit in ((row.difference, row.unit), (row.percent, "%")):
        if value is not None:
            yield Quantity(value, unit, targets, f"{row.quantity}_change")
            yield Quantity(abs(value), unit, targets, f"{row.quantity}_change_size")


@declares("mask")
def mask(artifact: Artifact) -> Declared:
    """Which structures were outlined, and which were looked for and not found."""
    entries = Masks.model_validate(artifact.data).masks
    return Declared(
        quantities=tuple(Quantity(float(m.voxels), "voxel", (m.target,), "voxels") for m in entries),
        found=tuple(m.target for m in entries if m.voxels),
        not_found=tuple(m.target for m in entries if not m.voxels),
        counts=(sum(bool(m.voxels) for m in entries),),
    )


@declares("scores")
def scores(artifact: Artifact) -> Declared:
    """A score and an operating point per label: what a model gives, never a finding."""
    rows = Scores.model_validate(artifact.data).rows
    return Declared(
        quantities=(*(q for row in rows for q in _scored(row)), *_counted(rows)),
        assertions=tuple(
            Assertion(finding, _status(row), "score") for row in rows for finding in findings_named(row.label)
        ),
        found=tuple(row.label for row in rows),
    )


def _scored(row: LabelScore) -> Iterable[Quantity]:
    yield Quantity(row.score, "", (row.label,), "score")
    if row.operating_point is not None:
        yield Quantity(row.operating_point, "", (row.label,), "operating_point")


def _counted(rows: Iterable[LabelScore]) -> Iterable[Quantity]:
    """How many labels have an operating point, and how many reach it."""
    judged = [row for row in rows if row.above is not None]
    for count in (len(judged), sum(bool(row.above) for row in judged)):
        yield Quantity(float(count), "", (), "count")


def _status(row: LabelScore) -> Status:
    return "unrated" if row.above is None else "above" if row.above else "below"


@declares("boxes")
def boxes(artifact: Artifact) -> Declared:
    """What was looked for, and each box's score; sizes and places are read from the data."""
    if "boxes" not in artifact.data or "looked_for" not in artifact.data:
        return Declared(is_complete=False)
    data = Boxes.model_validate({k: v for k, v in artifact.data.items() if k in Boxes.model_fields})
    labels = tuple(dict.fromkeys((*(b.label for b in data.boxes), data.looked_for)))
    status: Status = "above" if data.boxes else "below"
    return Declared(
        quantities=(
            *(Quantity(b.score, "", (b.label,), "score") for b in data.boxes if b.score is not None),
            *(Quantity(extent, unit, (b.label,)) for b in data.boxes for unit, size in _extents(b) for extent in size),
        ),
        boxed=tuple(_said_of(b) for b in data.boxes),
        sizes=tuple(size for b in data.boxes for size in _extents(b)),
        assertions=tuple(Assertion(f, status, "box") for label in labels for f in findings_named(label)),
        found=labels if data.boxes else (),
        not_found=() if data.boxes else labels,
        is_complete=False,
        in_order=tuple(
            (label, tuple(b.score for b in data.boxes if b.label == label and b.score is not None)) for label in labels
        ),
        counts=(len(data.boxes),),
    )


def _extents(box: Box) -> Iterable[tuple[str, tuple[float, ...]]]:
    """Yield how large a box is, in millimetres where the image has them."""
    if box.lower_mm and box.upper_mm:
        yield "mm", tuple(round(high - low, 6) for low, high in zip(box.lower_mm, box.upper_mm, strict=True))


def _said_of(box: Box) -> BoxSaid:
    edges = (*box.lower, *box.upper, *(box.lower_mm or ()), *(box.upper_mm or ()))
    sizes = [size for _, size in _extents(box)]
    voxels = tuple(float(high - low) for low, high in zip(box.lower, box.upper, strict=True))
    score = () if box.score is None else (box.score,)
    numbers = tuple(float(v) for v in (*score, *edges, *(v for size in sizes for v in size)))
    return BoxSaid(box.score, sizes[0] if sizes else voxels, numbers)


@declares("points")
def points(artifact: Artifact) -> Declared:
    """Which points were found; their places are read from the data."""
    if "points" not in artifact.data:
        return Declared(is_complete=False)
    data = Points.model_validate({k: v for k, v in artifact.data.items() if k in Points.model_fields})
    return Declared(found=tuple(p.name for p in data.points), is_complete=False)


@declares("assessment")
def assessment(artifact: Artifact) -> Declared:
    """Each measured aspect of quality with the tool's judgement; the rest is read from the data."""
    rows = Assessment.model_validate(artifact.data).quality
    return Declared(
        quantities=tuple(Quantity(r.value, r.unit, (r.aspect,), r.aspect) for r in rows),
        found=tuple(r.aspect for r in rows),
        is_complete=False,
        ratings=tuple((r.aspect, r.verdict) for r in rows),
    )


@declares("text")
def text(artifact: Artifact) -> Declared:
    """A model's words: an opinion, to be quoted as such."""
    if "answer" not in artifact.data:
        return Declared(is_complete=False)
    return Declared(text=Text.model_validate(artifact.data).answer, is_complete=False)


@lru_cache(maxsize=1024)
def findings_named(label: str) -> tuple[str, ...]:
    """Return the findings of our vocabulary that a label means: "Effusion" is pleural_effusion."""
    words = label.lower().replace("_", " ")
    return tuple(dict.fromkeys(naming.finding for naming in load_vocabulary().name_findings(words)))
