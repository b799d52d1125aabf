"""Sentences that an artifact supports by itself, each with its evidence id. No language model is involved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tools.changes import Change, ChangeRow
from tools.places import Place, Position, Region, Span
from tools.results import (
    Box,
    Boxes,
    Claim,
    ClaimKind,
    Description,
    Draft,
    Hits,
    Masks,
    Measurement,
    Measurements,
    NotOutlined,
    Points,
    ReportHit,
    Scores,
    Studies,
    Verdicts,
)

if TYPE_CHECKING:
    from tools.workspace import Artifact

QUANTITY_WORDS = {
    "volume": "Volume",
    "area": "Area",
    "surface_area": "Surface area",
    "mean_intensity": "Mean",
    "sd_intensity": "Standard deviation",
    "median_intensity": "Median",
    "min_intensity": "Minimum",
    "max_intensity": "Maximum",
    "p5_intensity": "5th percentile",
    "p95_intensity": "95th percentile",
    "longest_diameter": "Longest axial diameter",
    "perpendicular_diameter": "Longest perpendicular diameter",
    "emphysema_index": "Emphysema index",
    "overinflated_fraction": "Overinflated share",
    "aerated_fraction": "Normally aerated share",
    "poorly_aerated_fraction": "Poorly aerated share",
    "nonaerated_fraction": "Non-aerated share",
    "fat_fraction": "Share with the density of fat",
    "muscle_density_fraction": "Share with the density of muscle",
}
REMOVED = "XXXX"
"""What the Open-i reports have where a name was removed."""
MAX_ROWS = 4
"""Scores and boxes that get a sentence of their own; the table has them all."""
MAX_LISTED = 25
"""Studies that get a line of their own; the table has them all."""
RADIOMICS = "ibsi_"
"""Quantities that begin so are radiomics features: hundreds of numbers for a table, not for sentences."""
HEADLINE = (
    "volume", "area", "mean_intensity", "longest_diameter", "perpendicular_diameter", "surface_area", "emphysema_index",
    "fat_fraction",
)  # fmt: skip
"""Quantities that get a sentence of their own; the table has them all."""


Composer = Callable[["Artifact"], Iterable[Claim]]
_COMPOSERS: dict[str, Composer] = {}


def composes(*kinds: str) -> Callable[[Composer], Composer]:
    """Register the sentences of a kind of result: `@composes("scores")` above a function of the artifact.

    What the numbers in them are is declared beside, in tools/grounding/declared.py, and checked against it.
    """

    def register(function: Composer) -> Composer:
        _COMPOSERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def claims_of(artifact: Artifact) -> tuple[Claim, ...]:
    """Return the sentences that an artifact supports, most important first."""
    if compose := _COMPOSERS.get(artifact.kind):
        return tuple(compose(artifact))
    kind: ClaimKind = "model opinion" if "opinion" in artifact.marks else "described"
    return (_claim(artifact.summary, artifact.id, kind),)


def _claim(text: str, evidence: str, kind: ClaimKind, *regions: Region | None) -> Claim:
    """Return a sentence with one piece of evidence and the places in it where it is to be seen."""
    where = tuple(Place(evidence=evidence, region=region) for region in regions if region is not None)
    return Claim(text=text, evidence=(evidence,), kind=kind, where=where)


@composes("measurements")
def _of_measurements(artifact: Artifact) -> Iterable[Claim]:
    rows = Measurements.model_validate(artifact.data).rows
    yield from (_measured(r, artifact.id) for r in rows if r.quantity in HEADLINE or _is_foreign(r))
    yield from _features(rows, artifact.id)


@composes("change")
def _of_change(artifact: Artifact) -> Iterable[Claim]:
    change = Change.model_validate(artifact.data)
    if not change.rows:
        said = change.summary.partition(f" {change.prior} says ")[0]  # its words follow as quotations of their own
        yield _claim(said, artifact.id, "described")
    yield from (_changed(row, change, artifact.id) for row in change.rows)
    if change.found:
        yield _claim(change.found, artifact.id, "described")
    for quote in change.quoted:
        report = quote.where.report
        text = f"The earlier report {report} says: “{quote.sentence}”"
        yield Claim(text=text, evidence=(report,), kind="quoted", where=(Place(evidence=report, span=quote.where),))


def _changed(row: ChangeRow, change: Change, artifact_id: str) -> Claim:
    """Say a change with both sources and their dates."""
    dates = {change.current: change.current_date, change.prior: change.prior_date}
    now, before = (
        f"{source} ({dates[source]})" if dates.get(source) else source
        for source in (row.current_source, row.prior_source)
    )
    what = f"{QUANTITY_WORDS.get(row.quantity, row.quantity.replace('_', ' '))} of the {readable(row.target)}"
    if row.quantity == "mean_intensity" and row.unit == "HU":
        what = f"Mean density of the {readable(row.target)}"
    if row.current is None or row.prior is None:
        value = shown(row.current or row.prior or 0.0, row.unit)
        where, other = (now, before) if row.prior is None else (before, now)
        word = "New" if row.status == "new" else "Resolved"
        text = f"{word}: the {readable(row.target)}, {value} in {where}, is not in {other}."
    else:
        text = f"{what}: {shown(row.current, row.unit)} in {now} against {shown(row.prior, row.unit)} in {before}, "
        text += _difference(row) + "."
    evidence = (artifact_id, row.current_source, row.prior_source)
    return Claim(text=text, evidence=evidence, kind="measured", where=tuple(_changed_where(row)))


def _changed_where(row: ChangeRow) -> Iterable[Place]:
    """Yield where either study shows it: what an earlier report states stands in the report."""
    for source, region in ((row.current_source, row.current_where), (row.prior_source, row.prior_where)):
        if region is not None:
            yield Place(evidence=source, region=region)
    if row.prior_span is not None:
        yield Place(evidence=row.prior_source, span=row.prior_span)


def _difference(row: ChangeRow) -> str:
    difference = row.difference or 0.0
    share = "" if row.percent is None else f" ({shown(abs(row.percent), '%')})"
    if row.status == "unchanged":
        return f"unchanged: the difference of {shown(abs(difference), row.unit)}{share} does not count"
    return f"{'increased' if difference > 0 else 'decreased'} by {shown(abs(difference), row.unit)}{share}"


@composes("mask")
def _of_masks(artifact: Artifact) -> Iterable[Claim]:
    return _masked(Masks.model_validate(artifact.data), artifact.id)


@composes("hits")
def _of_hits(artifact: Artifact) -> Iterable[Claim]:
    return quotes(Hits.model_validate(artifact.data), artifact)


@composes("scores")
def _of_scores(artifact: Artifact) -> Iterable[Claim]:
    """Each score that reaches its operating point; then, in one sentence, that no other does. Never "normal"."""
    result = Scores.model_validate(artifact.data)
    image = Region(image=result.image)
    by = f" {result.model.card}" if result.model else ""
    for row in sorted(result.rows, key=lambda r: -r.score):
        if row.above:
            text = f"The model{by} scores {readable(row.label)} at {row.score:.2f}, at or above its operating point of "
            yield _claim(f"{text}{row.operating_point:.2f}.", artifact.id, "model score", image)
    rated = sum(row.above is not None for row in result.rows)
    if rated:
        rest = f"None of the {rated} findings" if result.none_above else "No other finding"
        rest = "The finding does not reach" if result.none_above and rated == 1 else f"{rest} reaches"
        text = f"{rest} its operating point in the model{by}; that excludes nothing."
        yield _claim(text, artifact.id, "model score", image)
    for row in result.rows if len(result.rows) <= MAX_ROWS else ():
        if not row.above:
            point = row.operating_point
            where = "it has no operating point" if point is None else f"below its operating point of {point:.2f}"
            text = f"The model{by} scores {readable(row.label)} at {row.score:.2f}, {where}."
            yield _claim(text, artifact.id, "model score", image)


@composes("text")
def _of_text(artifact: Artifact) -> Iterable[Claim]:
    if "answer" not in artifact.data:
        yield _claim(artifact.summary, artifact.id, "described")
        return
    image = str(artifact.data.get("image") or "")
    answer = " ".join(str(artifact.data["answer"]).replace("“", "'").replace("”", "'").split())
    by = (artifact.data.get("model") or {}).get("card", "")
    text = f"The model's opinion{f' ({by})' if by else ''}: “{answer}”"
    yield _claim(text, artifact.id, "model opinion", Region(image=image) if image else None)


@composes("report")
def _of_draft(artifact: Artifact) -> Iterable[Claim]:
    draft = Draft.model_validate(artifact.data)
    yield _claim(draft.summary, artifact.id, "described")
    yield from (c for c in draft.findings if c.evidence == (artifact.id,))  # a model's opinions: it alone keeps them


@composes("verdicts")
def _of_verdicts(artifact: Artifact) -> Iterable[Claim]:
    return _checked(Verdicts.model_validate(artifact.data), artifact.id)


@composes("description")
def _of_description(artifact: Artifact) -> Iterable[Claim]:
    image = Description.model_validate(artifact.data).image
    yield Claim(text=artifact.summary, evidence=(artifact.id, image), kind="described")


def quotes(hits: Hits, artifact: Artifact) -> tuple[Claim, ...]:
    """Return one sentence per hit, quoting the report of another patient word for word."""
    if not hits.hits:
        return (Claim(text=artifact.summary, evidence=(artifact.id,), kind="described"),)
    # a sentence that still has its words says more than one from which its collection removed some
    whole_first = sorted(hits.hits, key=lambda hit: REMOVED in hit.sentence)
    return tuple(_quoted(hit) for hit in whole_first)


def _quoted(hit: ReportHit) -> Claim:
    text = f"A stored report of another patient says: “{hit.sentence}”"
    where: tuple[Place, ...] = ()
    if hit.end > hit.start >= 0:
        span = Span(report=hit.report_id, section=hit.section, start=hit.start, end=hit.end)
        where = (Place(evidence=hit.report_id, span=span),)
    return Claim(text=text, evidence=(hit.report_id,), kind="quoted", where=where)


def _checked(result: Verdicts, artifact_id: str) -> Iterable[Claim]:
    """Return the count, and each sentence that is not supported with the reason."""
    yield Claim(text=result.summary, evidence=(artifact_id,), kind="described")
    for row in result.rows:
        if row.verdict != "supported":
            text = f"{row.verdict.capitalize()}: “{row.text}” ({row.reason})."
            stands = (Place(evidence=artifact_id, span=row.span),) if row.span else ()
            seen = (place.model_copy(update={"evidence": artifact_id}) for place in row.where)
            yield Claim(text=text, evidence=(artifact_id,), kind="described", where=(*stands, *seen))


@composes("boxes")
def _of_boxes(artifact: Artifact) -> Iterable[Claim]:
    """Say what was found, then where the best boxes lie: in mm where the image has them, else in voxels."""
    result = Boxes.model_validate(artifact.data)
    places = tuple(Place(evidence=artifact.id, region=boxed(box, result.image)) for box in result.boxes[:MAX_LISTED])
    yield Claim(text=artifact.summary, evidence=(artifact.id, result.image), kind="model score", where=places)
    for number, box in enumerate(result.boxes[:MAX_ROWS], 1):
        where = _place(box)
        score = "" if box.score is None else f", score {box.score:.2f}"
        text = f"Box {number} for “{box.label}”: {where}{score}."
        yield _claim(text, artifact.id, "model score", boxed(box, result.image))


def boxed(box: Box, image: str) -> Region:
    """Return a box with its middle as the point to look at."""
    return Region(
        image=image,
        target=box.label,
        voxel=_middle(box.lower, box.upper),
        position_mm=_middle(box.lower_mm, box.upper_mm) if box.lower_mm and box.upper_mm else None,
        lower=box.lower,
        upper=box.upper,
        lower_mm=box.lower_mm,
        upper_mm=box.upper_mm,
    )


def _middle(lower: Position, upper: Position) -> Position:
    x, y, z = ((low + high) / 2 for low, high in zip(lower, upper, strict=True))
    return x, y, z


@composes("points")
def _of_points(artifact: Artifact) -> Iterable[Claim]:
    """Say what was found; each point is a place."""
    regions: list[Region] = []
    if {"points", "image"} <= set(artifact.data):
        found = Points.model_validate({k: v for k, v in artifact.data.items() if k in Points.model_fields})
        regions = [
            Region(image=found.image, target=p.name, voxel=p.voxel, position_mm=p.position_mm) for p in found.points
        ]
    yield _claim(artifact.summary, artifact.id, "described", *regions[:MAX_LISTED])


def _place(box: Box) -> str:
    lower, upper, unit = box.lower, box.upper, ""
    if box.lower_mm and box.upper_mm:
        lower, upper, unit = box.lower_mm, box.upper_mm, " mm"
    count = 2 if not unit and lower[2] == upper[2] else 3  # a film has no depth
    ends = list(zip("xyz" if unit else "ijk", lower, upper, strict=True))[:count]
    said = ", ".join(f"{axis} {low:.1f}{unit} to {high:.1f}{unit}" for axis, low, high in ends).replace("-", "−")
    return f"{said} (x to the right, y to the front, z to the head)" if unit else f"{said} (voxels)"


@composes("studies")
def _of_studies(artifact: Artifact) -> Iterable[Claim]:
    yield Claim(text=artifact.summary, evidence=(artifact.id,), kind="described")
    for row in Studies.model_validate(artifact.data).studies[:MAX_LISTED]:
        kinds = ", ".join(row.modalities) or "modality not said"
        named = f", “{row.description}”" if row.description else ""
        text = f"Study {row.study_uid}: {kinds}; {row.date or 'date not said'}{named}."
        yield Claim(text=text, evidence=(artifact.id,), kind="described")


def _is_foreign(row: Measurement) -> bool:
    """Return whether a quantity is another package's own: it is what its tool was called for."""
    return row.quantity not in QUANTITY_WORDS and not row.quantity.startswith(RADIOMICS)


def _features(rows: Iterable[Measurement], artifact_id: str) -> Iterable[Claim]:
    """Say of which structures there are radiomics features; the table has them."""
    targets = dict.fromkeys(readable(r.target) for r in rows if r.quantity.startswith(RADIOMICS))
    if targets:
        text = f"Radiomics features of the {', '.join(targets)} are in the table."
        yield Claim(text=text, evidence=(artifact_id,), kind="described")


def _measured(row: Measurement, artifact_id: str) -> Claim:
    words = QUANTITY_WORDS.get(row.quantity) or row.quantity.replace("_", " ").capitalize()
    if row.quantity == "mean_intensity":
        words = "Mean density" if row.unit == "HU" else "Mean intensity"
    value = shown_with_uncertainty(row)
    if row.quantity.endswith("_ratio"):
        text = f"{words.capitalize()}, {row.method.replace('_', ' ')}: {value}."
    else:
        text = f"{words} of the {readable(row.target)}: {value}."
    return _claim(text, artifact_id, "measured", row.where)


def _masked(result: Masks, artifact_id: str) -> Iterable[Claim]:
    found = [readable(m.target) for m in result.masks if m.voxels]
    missing = [readable(m.target) for m in result.masks if not m.voxels]
    by = f" by {result.model.card}" if result.model else ""
    if found:
        regions = [m.where for m in result.masks if m.voxels]
        yield _claim(f"Outlined in {result.image}{by}: {', '.join(found)}.", artifact_id, "described", *regions)
    if missing:
        whole = Region(image=result.image)
        yield _claim(f"Looked for and not found: {', '.join(missing)}.", artifact_id, "described", whole)
    for text in not_outlined(result.not_outlined):
        yield Claim(text=text, kind="not examined")


def not_outlined(left: Iterable[NotOutlined]) -> Iterable[str]:
    """Say what was not looked for, a sentence for each model that cannot run here."""
    by_model: dict[str, list[str]] = {}
    for each in left:
        by_model.setdefault(each.lacks, []).append(readable(each.target))
    return [f"Not outlined: {', '.join(names)} (model {lacks})." for lacks, names in by_model.items()]


def readable(target: str) -> str:
    """Return a class name in words: `kidney_left` → "left kidney"."""
    words = target.split("_")
    sides = [w for w in words if w in ("left", "right")]
    return " ".join(sides + [w for w in words if w not in sides])


def shown(value: float, unit: str) -> str:
    """Return a value with as many digits as a reader needs, and its unit."""
    digits = 0 if abs(value) >= 1000 or (unit == "ml" and abs(value) >= 100) else 1
    if 0 < abs(value) < 1:
        digits = 3
    number = f"{value:,.{digits}f}".replace("-", "−")
    return f"{number} {unit}".strip()


def shown_with_uncertainty(row: Measurement) -> str:
    """Return a measured value with its unit, and with its uncertainty where it has one."""
    if row.uncertainty is None:
        return shown(row.value, row.unit)
    return f"{shown(row.value, row.unit)} (± {shown(row.uncertainty, row.unit)})"
