"""Evidence from results that no tool made, for sentences that were written before they were tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tools.changes import Change, ChangeRow
from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_artifact
from tools.results import (
    Assessment,
    Box,
    Boxes,
    LabelScore,
    MaskEntry,
    Masks,
    Measurement,
    Measurements,
    ModelUse,
    QualityRow,
    Scores,
    ToolResult,
)
from tools.workspace import Artifact, Provenance

Row = tuple[str, str, float, str, float | None, str]
"""Target, quantity, value, unit, uncertainty, method."""


def kept(step: str, result: ToolResult, image: str, tool: str, facts: Mapping[str, AttachmentFacts]) -> Evidence:
    made = Provenance(tool=tool, tool_version="0", params={}, inputs=(image,))
    data = result.model_dump(mode="json")
    artifact = Artifact(
        id=step, kind=result.kind, summary=result.summary, data=data, marks=result.marks, provenance=made
    )
    return of_artifact(artifact, facts)


def measured(rows: Iterable[Row], image: str) -> Measurements:
    made = (
        Measurement(
            target=t, quantity=q, value=v, unit=u, image=image, mask="s1", spacing_source="header", method=m or "mask",
            uncertainty=e,
        )
        for t, q, v, u, e, m in rows
    )  # fmt: skip
    return Measurements(summary="Measured.", rows=tuple(made))


def changed(rows: Iterable[tuple[str, str, str, float, float, str]], dates: tuple[str, str]) -> Change:
    """Return img1 against img3.

    Args:
        rows: target, quantity, status, value now, value before, unit.
        dates: of the study now, and of the earlier one.
    """
    made = (
        ChangeRow(
            target=t, quantity=q, status=s, current=now, prior=before, unit=u, difference=now - before,
            percent=100 * (now - before) / before, rule="rule", current_source="img1", prior_source="img3",
        )
        for t, q, s, now, before, u in rows
    )  # fmt: skip
    notes = (f"img1: study of {dates[0]}.", f"img3: study of {dates[1]}.")
    return Change(
        summary="img1 against img3.", notes=notes, current="img1", prior="img3", current_date=dates[0],
        prior_date=dates[1], rows=tuple(made),
    )  # fmt: skip


def scored(rows: Iterable[tuple[str, float, float]], card: str) -> Scores:
    made = tuple(LabelScore(label=label, score=score, operating_point=point) for label, score, point in rows)
    model = ModelUse(card=card, runtime="onnx", version="1")
    return Scores(summary=f"Scored {len(made)} findings.", image="img2", rows=made, model=model)


def boxed(boxes: Iterable[tuple[float, tuple[float, float, float], tuple[float, float, float]]]) -> Boxes:
    made = tuple(
        Box(
            label="nodule", score=score, lower=(90, 110, 50), upper=(102, 121, 54), lower_mm=lower, upper_mm=upper
        )
        for score, lower, upper in boxes
    )  # fmt: skip
    summary = f"Found {len(made)} boxes for “nodule” in img1."
    return Boxes(summary=summary, image="img1", looked_for="nodule", boxes=made, operating_point=0.5)


def none_found(target: str) -> Boxes:
    summary = f"Looked for “{target}” in img1 and found none."
    return Boxes(summary=summary, image="img1", looked_for=target, boxes=(), operating_point=0.5)


def judged(summary: str, *quality: QualityRow) -> Assessment:
    return Assessment(summary=summary, image="img1", quality=quality)


def outlined(found: Iterable[str], missing: str) -> Masks:
    entries = [MaskEntry(target=t, file="x", voxels=9) for t in found]
    entries.append(MaskEntry(target=missing, file="x", voxels=0))
    return Masks(summary=f"Outlined {len(entries)} structures.", image="img1", masks=tuple(entries))
