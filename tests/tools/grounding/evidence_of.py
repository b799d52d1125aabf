"""Evidence from results that no tool made, for sentences that were written before they were tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.changes import Change, ChangeRow
from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_artifact, of_report
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
from tools.trials.readings import artifact_of

Row = tuple[str, str, float, str, float | None, str]
"""Target, quantity, value, unit, uncertainty, method."""


@dataclass(frozen=True)
class MadeReading:
    """One reading with evidence of every kind: results by step, and two reports."""

    facts: Mapping[str, AttachmentFacts]
    results: Mapping[str, tuple[ToolResult, str, str]]
    """Step → result, the image that it is of, the tool that made it."""
    other_id: str
    other: str
    """A stored report of another patient."""
    own: str
    """The patient's own report, rep1."""

    def evidence(self) -> dict[str, Evidence]:
        """Return everything that a sentence may cite, by id."""
        found = {step: kept(step, *made, self.facts) for step, made in self.results.items()}
        other = Evidence(text=self.other, id=self.other_id, source="other report", kind="report")
        return found | {self.other_id: other, "rep1": of_report("rep1", self.own)}


def kept(step: str, result: ToolResult, image: str, tool: str, facts: Mapping[str, AttachmentFacts]) -> Evidence:
    return of_artifact(artifact_of(step, result, image=image, tool=tool), facts)


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


def judged(summary: str, rows: Iterable[tuple[str, float, str, str, str]]) -> Assessment:
    """Return a judgement of quality.

    Args:
        summary: what the tool says in one sentence.
        rows: aspect, value, unit, verdict, method.
    """
    quality = tuple(
        QualityRow(aspect=aspect, value=value, unit=unit, verdict=verdict, method=method)
        for aspect, value, unit, verdict, method in rows
    )
    return Assessment(summary=summary, image="img1", quality=quality)


def outlined(found: Iterable[str], missing: str) -> Masks:
    entries = [MaskEntry(target=t, file="x", voxels=9) for t in found]
    entries.append(MaskEntry(target=missing, file="x", voxels=0))
    return Masks(summary=f"Outlined {len(entries)} structures.", image="img1", masks=tuple(entries))
