"""One table of measurements, as evidence."""

from __future__ import annotations

from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_artifact
from tools.results import LabelScore, Measurement, Measurements, Scores
from tools.trials.readings import artifact_of

ROWS = (
    ("lung_left", "volume", 1712.3, "ml", ""),
    ("lung_left", "mean_intensity", -812.34, "HU", ""),
    ("lung_right", "volume", 1982.1, "ml", ""),
    ("lung_right", "mean_intensity", -820.6, "HU", ""),
    ("lung_left", "longest_diameter", 152.25, "mm", ""),
    ("lung_left", "perpendicular_diameter", 98.4, "mm", ""),
    ("lung_left", "surface_area", 712.3, "cm2", ""),
    ("lung_left", "volume_ratio", 0.864, "", "volume of lung_left ÷ volume of lung_right"),
    ("liver", "volume", 1503.2, "ml", ""),
    ("spleen", "volume", 203.2, "ml", ""),
)


def three_scores() -> Evidence:
    rows = (
        LabelScore(label="Effusion", score=0.72, operating_point=0.5),
        LabelScore(label="Cardiomegaly", score=0.31, operating_point=0.45),
        LabelScore(label="Pneumothorax", score=0.04, operating_point=0.3),
    )
    result = Scores(summary="Scored.", image="img1", rows=rows)
    artifact = artifact_of("s3", result, image="img1", tool="classify")
    return of_artifact(artifact, {"img1": AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)})


def lungs_liver_spleen() -> Evidence:
    rows = tuple(
        Measurement(
            target=target, quantity=quantity, value=value, unit=unit, image="img1", mask="s1", spacing_source="header",
            method=method or "from the mask",
        )
        for target, quantity, value, unit, method in ROWS
    )  # fmt: skip
    result = Measurements(summary="Measured.", rows=rows)
    artifact = artifact_of("s2", result, image="img1", tool="measure")
    return of_artifact(artifact, {"img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)})
