"""A chest CT with its prior, a chest film and a brain MRI: the evidence of sentences_fourth.tsv."""

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
    "FINDINGS: Lungs are hyperexpanded with flattened diaphragms. No focal consolidation. The aorta is tortuous.\n"
    "IMPRESSION: Emphysema without acute disease."
)
OWN = (
    "FINDINGS: The heart is mildly enlarged. There is no pneumothorax. Small right pleural effusion. "
    "A 7 mm nodule in the left upper lobe. Possible pneumonia in the right lower lobe. No rib fracture is seen. "
    "The trachea is midline.\n"
    "IMPRESSION: Mild cardiomegaly. Small right effusion. Pulmonary nodule, follow-up CT is recommended."
)
ROWS = (
    ("lung_left", "volume", 2143.6, "ml", 22.4, ""),
    ("lung_right", "volume", 2467.9, "ml", 25.1, ""),
    ("lungs", "volume", 4611.5, "ml", 47.5, ""),
    ("lung_left", "mean_intensity", -841.2, "HU", None, ""),
    ("lung_right", "mean_intensity", -836.7, "HU", None, ""),
    ("lung_left", "emphysema_index", 8.61, "%", None, ""),
    ("lung_right", "emphysema_index", 11.34, "%", None, ""),
    ("lungs", "emphysema_index", 10.07, "%", None, ""),
    ("lung_left", "volume_ratio", 0.869, "", None, "volume of lung_left ÷ volume of lung_right"),
)
BRAIN = (
    ("brain", "volume", 1318.4, "ml", 9.2, ""),
    ("brain", "longest_diameter", 171.6, "mm", None, ""),
)
CHANGES = (
    ("nodule", "longest_diameter", "changed", 9.1, 6.4, "mm"),
    ("lung_left", "volume", "unchanged", 2143.6, 2190.2, "ml"),
    ("liver", "volume", "changed", 1611.0, 1458.3, "ml"),
    ("spleen", "volume", "changed", 188.7, 231.4, "ml"),
)
SCORES = (
    ("Effusion", 0.81, 0.5),
    ("Cardiomegaly", 0.22, 0.45),
    ("Pneumothorax", 0.03, 0.3),
    ("Consolidation", 0.58, 0.55),
    ("Edema", 0.12, 0.4),
    ("Nodule", 0.47, 0.6),
)
BOXES = (
    (0.91, (-68.4, 14.0, -142.0), (-58.2, 23.1, -134.0)),
    (0.74, (51.0, -22.5, -95.0), (57.3, -16.9, -89.0)),
    (0.55, (33.2, 40.1, -60.0), (37.4, 44.0, -56.0)),
)


@cache
def evidence() -> dict[str, Evidence]:
    """Return everything that a sentence may cite, by id."""
    quality = judged(
        "img1: noise ok, blur poor, cut off ok, slice jumps questionable.",
        QualityRow(aspect="noise", value=18.4, unit="HU", verdict="ok", method="air"),
        QualityRow(aspect="blur", value=2.6, unit="mm", verdict="poor", method="edge"),
        QualityRow(aspect="cut_off", value=0.0, unit="%", verdict="ok", method="rim"),
        QualityRow(aspect="slice_jumps", value=1.9, unit="", verdict="questionable", method="slices"),
    )
    results: dict[str, tuple[ToolResult, str, str]] = {
        "s1": (outlined(("lung_left", "lung_right", "heart", "aorta"), "esophagus"), "img1", "segment"),
        "s2": (measured(ROWS, "img1"), "img1", "measure"),
        "s3": (measured(BRAIN, "img4"), "img4", "measure"),
        "s4": (scored(SCORES, "chest-densenet"), "img2", "classify"),
        "s5": (boxed(BOXES), "img1", "detect"),
        "s6": (none_found("rib fracture"), "img1", "detect"),
        "s7": (changed(CHANGES, ("2026-03-14", "2025-09-02")), "img1", "compare"),
        "s8": (quality, "img1", "assess"),
    }
    found = {step: kept(step, result, image, tool, FACTS) for step, (result, image, tool) in results.items()}
    other = Evidence(text=OTHER, id="CXR11", source="other report", kind="report")
    return found | {"CXR11": other, "rep1": of_report("rep1", OWN)}
