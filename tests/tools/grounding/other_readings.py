"""An abdominal CT with its prior, a chest film and a brain MRI: the evidence of sentences_fifth.tsv."""

from __future__ import annotations

from functools import cache

from tests.tools.grounding.evidence_of import boxed, changed, judged, kept, measured, none_found, outlined, scored
from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_report
from tools.results import QualityRow, ToolResult

FACTS = {
    "img1": AttachmentFacts(id="img1", modality="CT", body_part="ABDOMEN", dims=3),
    "img2": AttachmentFacts(id="img2", modality="CR", body_part="CHEST", dims=2, view="AP"),
    "img3": AttachmentFacts(id="img3", modality="CT", body_part="ABDOMEN", dims=3, prior=True),
    "img4": AttachmentFacts(id="img4", modality="MR", body_part="HEAD", dims=3),
}
OTHER = (
    "FINDINGS: There is a moderate left pleural effusion with adjacent atelectasis. The mediastinum is widened.\n"
    "IMPRESSION: Left effusion, follow up recommended."
)
OWN = (
    "FINDINGS: The liver is normal in size. A 12 mm cyst in the upper pole of the right kidney. No hydronephrosis. "
    "Probable gallstones. Mild splenomegaly. No free fluid. The pancreas was not seen.\n"
    "IMPRESSION: Right renal cyst. Mild splenomegaly. Ultrasound of the gallbladder advised."
)
ROWS = (
    ("liver", "volume", 1742.6, "ml", 15.8, ""),
    ("spleen", "volume", 318.2, "ml", 5.1, ""),
    ("kidney_left", "volume", 171.3, "ml", 3.2, ""),
    ("kidney_right", "volume", 158.6, "ml", 3.0, ""),
    ("liver", "mean_intensity", 41.7, "HU", None, ""),
    ("spleen", "mean_intensity", 49.3, "HU", None, ""),
    ("aorta", "longest_diameter", 28.6, "mm", 0.7, ""),
    ("kidney_left", "longest_diameter", 112.4, "mm", None, ""),
    ("kidney_right", "longest_diameter", 107.9, "mm", None, ""),
)
BRAIN = (
    ("brain", "volume", 1187.3, "ml", 8.4, ""),
    ("brain", "surface_area", 1702.0, "cm2", None, ""),
)
CHANGES = (
    ("lesion", "longest_diameter", "changed", 17.3, 23.8, "mm"),
    ("liver", "volume", "changed", 1742.6, 1655.0, "ml"),
    ("spleen", "volume", "changed", 318.2, 270.4, "ml"),
    ("aorta", "longest_diameter", "unchanged", 28.6, 28.3, "mm"),
)
SCORES = (
    ("Effusion", 0.29, 0.5),
    ("Cardiomegaly", 0.77, 0.45),
    ("Pneumothorax", 0.08, 0.3),
    ("Atelectasis", 0.63, 0.5),
    ("Pneumonia", 0.34, 0.4),
)
BOXES = (
    (0.88, (40.5, -8.0, -210.0), (52.1, 3.4, -201.0)),
    (0.67, (-71.3, 12.2, -120.0), (-65.0, 18.0, -115.0)),
)


@cache
def evidence() -> dict[str, Evidence]:
    """Return everything that a sentence may cite, by id."""
    quality = judged(
        "img1: noise poor, blur ok, clipping ok.",
        QualityRow(aspect="noise", value=31.7, unit="HU", verdict="poor", method="air"),
        QualityRow(aspect="blur", value=1.1, unit="mm", verdict="ok", method="edge"),
        QualityRow(aspect="clipping", value=0.1, unit="%", verdict="ok", method="limits"),
    )
    results: dict[str, tuple[ToolResult, str, str]] = {
        "s1": (outlined(("liver", "spleen", "kidney_left", "kidney_right", "aorta"), "gallbladder"), "img1", "segment"),
        "s2": (measured(ROWS, "img1"), "img1", "measure"),
        "s3": (measured(BRAIN, "img4"), "img4", "measure"),
        "s4": (scored(SCORES, "xrv-all"), "img2", "classify"),
        "s5": (boxed(BOXES), "img1", "detect"),
        "s6": (none_found("kidney stone"), "img1", "detect"),
        "s7": (changed(CHANGES, ("2026-06-20", "2025-12-11")), "img1", "compare"),
        "s8": (quality, "img1", "assess"),
    }
    found = {step: kept(step, result, image, tool, FACTS) for step, (result, image, tool) in results.items()}
    other = Evidence(text=OTHER, id="CXR31", source="other report", kind="report")
    return found | {"CXR31": other, "rep1": of_report("rep1", OWN)}
