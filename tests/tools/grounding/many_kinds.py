"""One reading with evidence of every kind, for sentences that were written before they were tried."""

from __future__ import annotations

from functools import cache

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
    Point,
    Points,
    QualityRow,
    Scores,
    Text,
    ToolResult,
)
from tools.workspace import Artifact, Provenance

FACTS = {
    "img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3),
    "img2": AttachmentFacts(id="img2", modality="CR", body_part="CHEST", dims=2),
    "img3": AttachmentFacts(id="img3", modality="CT", body_part="CHEST", dims=3, prior=True),
}
OTHER = (
    "FINDINGS: The heart size is normal. There is a small right pleural effusion. No pneumothorax.\n"
    "IMPRESSION: Small right pleural effusion."
)
OWN = (
    "FINDINGS: The liver is enlarged. No focal liver lesion is seen. There is a small left pleural effusion. "
    "Surgical clips after cholecystectomy. Possible atelectasis at the left base. The spleen measures 11.2 cm.\n"
    "IMPRESSION: Hepatomegaly. Small left pleural effusion."
)
ROWS = (
    ("lung_left", "volume", 1712.3, "ml", 24.1),
    ("lung_right", "volume", 1982.1, "ml", 26.3),
    ("lung_left", "mean_intensity", -812.34, "HU", None),
    ("lung_right", "mean_intensity", -820.6, "HU", None),
    ("lung_left", "emphysema_index", 3.42, "%", None),
    ("lung_right", "emphysema_index", 5.18, "%", None),
    ("liver", "volume", 1503.2, "ml", 18.7),
    ("liver", "mean_intensity", 54.2, "HU", None),
    ("liver", "longest_diameter", 168.3, "mm", 0.7),
    ("liver", "perpendicular_diameter", 121.7, "mm", 0.7),
    ("spleen", "volume", 203.2, "ml", None),
    ("kidney_left", "volume", 162.4, "ml", None),
    ("kidney_right", "volume", 148.9, "ml", None),
    ("aorta", "longest_diameter", 31.4, "mm", None),
)
CHANGES = (
    ("liver", "volume", "changed", 1503.2, 1420.5, "ml"),
    ("spleen", "volume", "unchanged", 203.2, 201.9, "ml"),
    ("lesion", "longest_diameter", "changed", 14.2, 18.9, "mm"),
)


def _kept(step: str, result: ToolResult, image: str, tool: str) -> Evidence:
    made = Provenance(tool=tool, tool_version="0", params={}, inputs=(image,))
    data = result.model_dump(mode="json")
    artifact = Artifact(
        id=step, kind=result.kind, summary=result.summary, data=data, marks=result.marks, provenance=made
    )
    return of_artifact(artifact, FACTS)


def _measurements() -> Measurements:
    rows = tuple(
        Measurement(
            target=t, quantity=q, value=v, unit=u, image="img1", mask="s1", spacing_source="header", method="mask",
            uncertainty=e,
        )
        for t, q, v, u, e in ROWS
    )  # fmt: skip
    return Measurements(summary="Measured.", rows=rows)


def _change() -> Change:
    rows = tuple(
        ChangeRow(
            target=t, quantity=q, status=s, current=now, prior=before, unit=u, difference=now - before,
            percent=100 * (now - before) / before, rule="rule", current_source="img1", prior_source="img3",
        )
        for t, q, s, now, before, u in CHANGES
    )  # fmt: skip
    notes = ("img1: study of 2026-01-31.", "img3: study of 2025-07-15.")
    return Change(
        summary="img1 against img3.", notes=notes, current="img1", prior="img3", current_date="2026-01-31",
        prior_date="2025-07-15", rows=rows,
    )  # fmt: skip


def _scores() -> Scores:
    rows = (("Effusion", 0.72, 0.5), ("Cardiomegaly", 0.31, 0.45), ("Pneumothorax", 0.04, 0.3), ("Nodule", 0.66, 0.6))
    return Scores(
        summary="Scored 4 findings.",
        image="img2",
        rows=tuple(LabelScore(label=label, score=s, operating_point=p) for label, s, p in rows),
        model=ModelUse(card="densenet", runtime="onnx", version="1"),
    )


def _boxes() -> Boxes:
    first = Box(
        label="nodule", score=0.83, lower=(100, 120, 40), upper=(112, 133, 44), lower_mm=(-60.0, 20.0, -150.0),
        upper_mm=(-51.6, 29.1, -140.0),
    )  # fmt: skip
    second = first.model_copy(update={"score": 0.61, "lower_mm": (42.0, -10.0, -80.0), "upper_mm": (47.5, -4.5, -75.0)})
    summary = "Found 2 boxes for “nodule” in img1."
    return Boxes(summary=summary, image="img1", looked_for="nodule", boxes=(first, second), operating_point=0.5)


def _quality() -> Assessment:
    quality = (
        QualityRow(aspect="noise", value=12.3, unit="HU", verdict="ok", method="air"),
        QualityRow(aspect="blur", value=1.8, unit="mm", verdict="questionable", method="edge width"),
        QualityRow(aspect="clipping", value=0.2, unit="%", verdict="ok", method="share of voxels at the limits"),
    )
    return Assessment(summary="img1: noise ok, blur questionable, clipping ok.", image="img1", quality=quality)


def _masks() -> Masks:
    entries = [MaskEntry(target=t, file="x", voxels=9) for t in ("lung_left", "lung_right", "liver", "spleen")]
    entries.append(MaskEntry(target="gallbladder", file="x", voxels=0))
    return Masks(summary="Outlined 4 structures.", image="img1", masks=tuple(entries))


@cache
def evidence() -> dict[str, Evidence]:
    """Return everything that a sentence may cite, by id."""
    point = Point(name="carina", voxel=(255, 240, 80), position_mm=(2.1, -14.5, -103.2))
    opinion = Text(
        summary="An answer.", image="img2", answer="There is a small left pleural effusion.", marks=("opinion",)
    )
    none = Boxes(summary="Looked for “rib fracture” in img1 and found none.", image="img1", looked_for="rib fracture",
                 boxes=(), operating_point=0.5)  # fmt: skip
    found = (
        _kept("s1", _masks(), "img1", "segment"),
        _kept("s2", _measurements(), "img1", "measure"),
        _kept("s3", _scores(), "img2", "classify"),
        _kept("s4", _change(), "img1", "compare"),
        _kept("s6", _quality(), "img1", "assess"),
        _kept("s7", _boxes(), "img1", "detect"),
        _kept("s8", none, "img1", "detect"),
        _kept("s9", Points(summary="Found the carina in img1.", image="img1", points=(point,)), "img1", "landmarks"),
        _kept("s10", opinion, "img2", "answer"),
        Evidence(text=OTHER, id="CXR7", source="other report", kind="report"),
        of_report("rep1", OWN),
    )  # fmt: skip
    return {e.id: e for e in found}
