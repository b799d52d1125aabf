"""A chest CT with its prior, a chest film and a brain MRI: the evidence of sentences_sixth.tsv."""

from __future__ import annotations

from functools import cache

from tests.tools.grounding.evidence_of import boxed, changed, judged, kept, measured, none_found, outlined, scored
from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_report
from tools.results import QualityRow, ToolResult

FACTS = {
    "img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3),
    "img2": AttachmentFacts(id="img2", modality="DX", body_part="CHEST", dims=2, view="PA"),
    "img3": AttachmentFacts(id="img3", modality="CT", body_part="CHEST", dims=3, prior=True),
    "img4": AttachmentFacts(id="img4", modality="MR", body_part="HEAD", dims=3),
}
OTHER = (
    "FINDINGS: The lungs are clear. Heart size is upper normal. Degenerative changes of the spine.\n"
    "IMPRESSION: No acute cardiopulmonary process."
)
OWN = (
    "FINDINGS: Patchy opacity in the left lower lobe. The heart is not enlarged. No pleural effusion or pneumothorax. "
    "Suspected hiatal hernia. Nodule of 9 mm in the right middle lobe. Mild scoliosis.\n"
    "IMPRESSION: Left lower lobe opacity, possibly pneumonia. Chest CT in 3 months recommended."
)
ROWS = (
    ("lung_left", "volume", 1489.4, "ml", 17.0, ""),
    ("lung_right", "volume", 1903.7, "ml", 20.3, ""),
    ("lung_left", "mean_intensity", -768.9, "HU", None, ""),
    ("lung_right", "mean_intensity", -801.3, "HU", None, ""),
    ("lung_left", "emphysema_index", 1.22, "%", None, ""),
    ("lung_right", "emphysema_index", 2.61, "%", None, ""),
    ("heart", "volume", 702.8, "ml", 11.9, ""),
    ("trachea", "volume", 38.6, "ml", None, ""),
    ("aorta", "longest_diameter", 33.9, "mm", 0.7, ""),
)
BRAIN = (("brain", "volume", 1452.8, "ml", 9.7, ""),)
CHANGES = (
    ("nodule", "longest_diameter", "unchanged", 8.1, 8.3, "mm"),
    ("lung_right", "volume", "changed", 1903.7, 2210.5, "ml"),
    ("heart", "volume", "changed", 702.8, 655.1, "ml"),
)
SCORES = (("Pneumonia", 0.71, 0.5), ("Effusion", 0.19, 0.45), ("Cardiomegaly", 0.41, 0.4), ("Fracture", 0.05, 0.35))
BOXES = (
    (0.79, (12.5, 30.0, -88.0), (20.6, 37.5, -81.0)),
    (0.72, (-45.2, -14.0, -150.0), (-39.9, -9.1, -146.0)),
    (0.66, (60.1, 5.0, -40.0), (64.0, 9.2, -36.5)),
    (0.51, (-10.0, 50.0, -20.0), (-7.0, 53.1, -17.2)),
)


@cache
def evidence() -> dict[str, Evidence]:
    """Return everything that a sentence may cite, by id."""
    quality = judged(
        "img1: noise questionable, blur ok, cut off poor.",
        QualityRow(aspect="noise", value=24.9, unit="HU", verdict="questionable", method="air"),
        QualityRow(aspect="blur", value=1.4, unit="mm", verdict="ok", method="edge"),
        QualityRow(aspect="cut_off", value=6.5, unit="%", verdict="poor", method="rim"),
    )
    results: dict[str, tuple[ToolResult, str, str]] = {
        "s1": (outlined(("lung_left", "lung_right", "heart", "trachea", "aorta"), "thyroid_gland"), "img1", "segment"),
        "s2": (measured(ROWS, "img1"), "img1", "measure"),
        "s3": (measured(BRAIN, "img4"), "img4", "measure"),
        "s4": (scored(SCORES, "xrv"), "img2", "classify"),
        "s5": (boxed(BOXES), "img1", "detect"),
        "s6": (none_found("pneumothorax"), "img1", "detect"),
        "s7": (changed(CHANGES, ("2026-08-05", "2026-02-17")), "img1", "compare"),
        "s8": (quality, "img1", "assess"),
    }
    found = {step: kept(step, result, image, tool, FACTS) for step, (result, image, tool) in results.items()}
    other = Evidence(text=OTHER, id="CXR52", source="other report", kind="report")
    return found | {"CXR52": other, "rep1": of_report("rep1", OWN)}
