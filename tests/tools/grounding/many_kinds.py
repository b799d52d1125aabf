"""One reading with evidence of every kind: of sentences_first.tsv to sentences_third.tsv."""

from __future__ import annotations

from tests.tools.grounding.evidence_of import (
    MadeReading,
    boxed,
    changed,
    judged,
    measured,
    none_found,
    outlined,
    scored,
)
from tools.facts import AttachmentFacts
from tools.results import Point, Points, Text

ROWS = (
    ("lung_left", "volume", 1712.3, "ml", 24.1, ""),
    ("lung_right", "volume", 1982.1, "ml", 26.3, ""),
    ("lung_left", "mean_intensity", -812.34, "HU", None, ""),
    ("lung_right", "mean_intensity", -820.6, "HU", None, ""),
    ("lung_left", "emphysema_index", 3.42, "%", None, ""),
    ("lung_right", "emphysema_index", 5.18, "%", None, ""),
    ("liver", "volume", 1503.2, "ml", 18.7, ""),
    ("liver", "mean_intensity", 54.2, "HU", None, ""),
    ("liver", "longest_diameter", 168.3, "mm", 0.7, ""),
    ("liver", "perpendicular_diameter", 121.7, "mm", 0.7, ""),
    ("spleen", "volume", 203.2, "ml", None, ""),
    ("kidney_left", "volume", 162.4, "ml", None, ""),
    ("kidney_right", "volume", 148.9, "ml", None, ""),
    ("aorta", "longest_diameter", 31.4, "mm", None, ""),
)
CHANGES = (
    ("liver", "volume", "changed", 1503.2, 1420.5, "ml"),
    ("spleen", "volume", "unchanged", 203.2, 201.9, "ml"),
    ("lesion", "longest_diameter", "changed", 14.2, 18.9, "mm"),
)
SCORES = (("Effusion", 0.72, 0.5), ("Cardiomegaly", 0.31, 0.45), ("Pneumothorax", 0.04, 0.3), ("Nodule", 0.66, 0.6))
BOXES = ((0.83, (-60.0, 20.0, -150.0), (-51.6, 29.1, -140.0)), (0.61, (42.0, -10.0, -80.0), (47.5, -4.5, -75.0)))
QUALITY = (
    ("noise", 12.3, "HU", "ok", "air"),
    ("blur", 1.8, "mm", "questionable", "edge width"),
    ("clipping", 0.2, "%", "ok", "share of voxels at the limits"),
)
CARINA = Point(name="carina", voxel=(255, 240, 80), position_mm=(2.1, -14.5, -103.2))
OPINION = Text(summary="An answer.", image="img2", answer="There is a small left pleural effusion.", marks=("opinion",))

MANY_KINDS = MadeReading(
    facts={
        "img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3),
        "img2": AttachmentFacts(id="img2", modality="CR", body_part="CHEST", dims=2),
        "img3": AttachmentFacts(id="img3", modality="CT", body_part="CHEST", dims=3, prior=True),
    },
    results={
        "s1": (outlined(("lung_left", "lung_right", "liver", "spleen"), "gallbladder"), "img1", "segment"),
        "s2": (measured(ROWS, "img1"), "img1", "measure"),
        "s3": (scored(SCORES, "densenet"), "img2", "classify"),
        "s4": (changed(CHANGES, ("2026-01-31", "2025-07-15")), "img1", "compare"),
        "s6": (judged("img1: noise ok, blur questionable, clipping ok.", QUALITY), "img1", "assess"),
        "s7": (boxed(BOXES), "img1", "detect"),
        "s8": (none_found("rib fracture"), "img1", "detect"),
        "s9": (Points(summary="Found the carina in img1.", image="img1", points=(CARINA,)), "img1", "landmarks"),
        "s10": (OPINION, "img2", "answer"),
    },
    other_id="CXR7",
    other=(
        "FINDINGS: The heart size is normal. There is a small right pleural effusion. No pneumothorax.\n"
        "IMPRESSION: Small right pleural effusion."
    ),
    own=(
        "FINDINGS: The liver is enlarged. No focal liver lesion is seen. There is a small left pleural effusion. "
        "Surgical clips after cholecystectomy. Possible atelectasis at the left base. The spleen measures 11.2 cm.\n"
        "IMPRESSION: Hepatomegaly. Small left pleural effusion."
    ),
)
