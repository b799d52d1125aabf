"""Three readings with evidence of every kind: of sentences_fourth.tsv to sentences_seventh.tsv."""

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


def _facts(region: str, film: AttachmentFacts) -> dict[str, AttachmentFacts]:
    """Return a CT with its prior, a chest film and a brain MRI."""
    return {
        "img1": AttachmentFacts(id="img1", modality="CT", body_part=region, dims=3),
        "img2": film,
        "img3": AttachmentFacts(id="img3", modality="CT", body_part=region, dims=3, prior=True),
        "img4": AttachmentFacts(id="img4", modality="MR", body_part="HEAD", dims=3),
    }


NODULES = MadeReading(
    facts=_facts("CHEST", AttachmentFacts(id="img2", modality="DX", body_part="CHEST", dims=2, view="PA")),
    results={
        "s1": (outlined(("lung_left", "lung_right", "heart", "aorta"), "esophagus"), "img1", "segment"),
        "s2": (
            measured(
                (
                    ("lung_left", "volume", 2143.6, "ml", 22.4, ""),
                    ("lung_right", "volume", 2467.9, "ml", 25.1, ""),
                    ("lungs", "volume", 4611.5, "ml", 47.5, ""),
                    ("lung_left", "mean_intensity", -841.2, "HU", None, ""),
                    ("lung_right", "mean_intensity", -836.7, "HU", None, ""),
                    ("lung_left", "emphysema_index", 8.61, "%", None, ""),
                    ("lung_right", "emphysema_index", 11.34, "%", None, ""),
                    ("lungs", "emphysema_index", 10.07, "%", None, ""),
                    ("lung_left", "volume_ratio", 0.869, "", None, "volume of lung_left ÷ volume of lung_right"),
                ),
                "img1",
            ),
            "img1",
            "measure",
        ),
        "s3": (
            measured(
                (
                    ("brain", "volume", 1318.4, "ml", 9.2, ""),
                    ("brain", "longest_diameter", 171.6, "mm", None, ""),
                ),
                "img4",
            ),
            "img4",
            "measure",
        ),
        "s4": (
            scored(
                (
                    ("Effusion", 0.81, 0.5),
                    ("Cardiomegaly", 0.22, 0.45),
                    ("Pneumothorax", 0.03, 0.3),
                    ("Consolidation", 0.58, 0.55),
                    ("Edema", 0.12, 0.4),
                    ("Nodule", 0.47, 0.6),
                ),
                "chest-densenet",
            ),
            "img2",
            "classify",
        ),
        "s5": (
            boxed(
                (
                    (0.91, (-68.4, 14.0, -142.0), (-58.2, 23.1, -134.0)),
                    (0.74, (51.0, -22.5, -95.0), (57.3, -16.9, -89.0)),
                    (0.55, (33.2, 40.1, -60.0), (37.4, 44.0, -56.0)),
                )
            ),
            "img1",
            "detect",
        ),
        "s6": (none_found("rib fracture"), "img1", "detect"),
        "s7": (
            changed(
                (
                    ("nodule", "longest_diameter", "changed", 9.1, 6.4, "mm"),
                    ("lung_left", "volume", "unchanged", 2143.6, 2190.2, "ml"),
                    ("liver", "volume", "changed", 1611.0, 1458.3, "ml"),
                    ("spleen", "volume", "changed", 188.7, 231.4, "ml"),
                ),
                ("2026-03-14", "2025-09-02"),
            ),
            "img1",
            "compare",
        ),
        "s8": (
            judged(
                "img1: noise ok, blur poor, cut off ok, slice jumps questionable.",
                (
                    ("noise", 18.4, "HU", "ok", "air"),
                    ("blur", 2.6, "mm", "poor", "edge"),
                    ("cut_off", 0.0, "%", "ok", "rim"),
                    ("slice_jumps", 1.9, "", "questionable", "slices"),
                ),
            ),
            "img1",
            "assess",
        ),
    },
    other_id="CXR11",
    other=(
        "FINDINGS: Lungs are hyperexpanded with flattened diaphragms. No focal consolidation. The aorta is tortuous.\n"
        "IMPRESSION: Emphysema without acute disease."
    ),
    own=(
        "FINDINGS: The heart is mildly enlarged. There is no pneumothorax. Small right pleural effusion. "
        "A 7 mm nodule in the left upper lobe. Possible pneumonia in the right lower lobe. No rib fracture is seen. "
        "The trachea is midline.\n"
        "IMPRESSION: Mild cardiomegaly. Small right effusion. Pulmonary nodule, follow-up CT is recommended."
    ),
)

ABDOMEN = MadeReading(
    facts=_facts("ABDOMEN", AttachmentFacts(id="img2", modality="CR", body_part="CHEST", dims=2, view="AP")),
    results={
        "s1": (outlined(("liver", "spleen", "kidney_left", "kidney_right", "aorta"), "gallbladder"), "img1", "segment"),
        "s2": (
            measured(
                (
                    ("liver", "volume", 1742.6, "ml", 15.8, ""),
                    ("spleen", "volume", 318.2, "ml", 5.1, ""),
                    ("kidney_left", "volume", 171.3, "ml", 3.2, ""),
                    ("kidney_right", "volume", 158.6, "ml", 3.0, ""),
                    ("liver", "mean_intensity", 41.7, "HU", None, ""),
                    ("spleen", "mean_intensity", 49.3, "HU", None, ""),
                    ("aorta", "longest_diameter", 28.6, "mm", 0.7, ""),
                    ("kidney_left", "longest_diameter", 112.4, "mm", None, ""),
                    ("kidney_right", "longest_diameter", 107.9, "mm", None, ""),
                ),
                "img1",
            ),
            "img1",
            "measure",
        ),
        "s3": (
            measured(
                (
                    ("brain", "volume", 1187.3, "ml", 8.4, ""),
                    ("brain", "surface_area", 1702.0, "cm2", None, ""),
                ),
                "img4",
            ),
            "img4",
            "measure",
        ),
        "s4": (
            scored(
                (
                    ("Effusion", 0.29, 0.5),
                    ("Cardiomegaly", 0.77, 0.45),
                    ("Pneumothorax", 0.08, 0.3),
                    ("Atelectasis", 0.63, 0.5),
                    ("Pneumonia", 0.34, 0.4),
                ),
                "xrv-all",
            ),
            "img2",
            "classify",
        ),
        "s5": (
            boxed(
                (
                    (0.88, (40.5, -8.0, -210.0), (52.1, 3.4, -201.0)),
                    (0.67, (-71.3, 12.2, -120.0), (-65.0, 18.0, -115.0)),
                )
            ),
            "img1",
            "detect",
        ),
        "s6": (none_found("kidney stone"), "img1", "detect"),
        "s7": (
            changed(
                (
                    ("lesion", "longest_diameter", "changed", 17.3, 23.8, "mm"),
                    ("liver", "volume", "changed", 1742.6, 1655.0, "ml"),
                    ("spleen", "volume", "changed", 318.2, 270.4, "ml"),
                    ("aorta", "longest_diameter", "unchanged", 28.6, 28.3, "mm"),
                ),
                ("2026-06-20", "2025-12-11"),
            ),
            "img1",
            "compare",
        ),
        "s8": (
            judged(
                "img1: noise poor, blur ok, clipping ok.",
                (
                    ("noise", 31.7, "HU", "poor", "air"),
                    ("blur", 1.1, "mm", "ok", "edge"),
                    ("clipping", 0.1, "%", "ok", "limits"),
                ),
            ),
            "img1",
            "assess",
        ),
    },
    other_id="CXR31",
    other=(
        "FINDINGS: There is a moderate left pleural effusion with adjacent atelectasis. The mediastinum is widened.\n"
        "IMPRESSION: Left effusion, follow up recommended."
    ),
    own=(
        "FINDINGS: The liver is normal in size. A 12 mm cyst in the upper pole of the right kidney. No hydronephrosis. "
        "Probable gallstones. Mild splenomegaly. No free fluid. The pancreas was not seen.\n"
        "IMPRESSION: Right renal cyst. Mild splenomegaly. Ultrasound of the gallbladder advised."
    ),
)

OPACITY = MadeReading(
    facts=_facts("CHEST", AttachmentFacts(id="img2", modality="DX", body_part="CHEST", dims=2, view="PA")),
    results={
        "s1": (outlined(("lung_left", "lung_right", "heart", "trachea", "aorta"), "thyroid_gland"), "img1", "segment"),
        "s2": (
            measured(
                (
                    ("lung_left", "volume", 1489.4, "ml", 17.0, ""),
                    ("lung_right", "volume", 1903.7, "ml", 20.3, ""),
                    ("lung_left", "mean_intensity", -768.9, "HU", None, ""),
                    ("lung_right", "mean_intensity", -801.3, "HU", None, ""),
                    ("lung_left", "emphysema_index", 1.22, "%", None, ""),
                    ("lung_right", "emphysema_index", 2.61, "%", None, ""),
                    ("heart", "volume", 702.8, "ml", 11.9, ""),
                    ("trachea", "volume", 38.6, "ml", None, ""),
                    ("aorta", "longest_diameter", 33.9, "mm", 0.7, ""),
                ),
                "img1",
            ),
            "img1",
            "measure",
        ),
        "s3": (measured((("brain", "volume", 1452.8, "ml", 9.7, ""),), "img4"), "img4", "measure"),
        "s4": (
            scored(
                (
                    ("Pneumonia", 0.71, 0.5),
                    ("Effusion", 0.19, 0.45),
                    ("Cardiomegaly", 0.41, 0.4),
                    ("Fracture", 0.05, 0.35),
                ),
                "xrv",
            ),
            "img2",
            "classify",
        ),
        "s5": (
            boxed(
                (
                    (0.79, (12.5, 30.0, -88.0), (20.6, 37.5, -81.0)),
                    (0.72, (-45.2, -14.0, -150.0), (-39.9, -9.1, -146.0)),
                    (0.66, (60.1, 5.0, -40.0), (64.0, 9.2, -36.5)),
                    (0.51, (-10.0, 50.0, -20.0), (-7.0, 53.1, -17.2)),
                )
            ),
            "img1",
            "detect",
        ),
        "s6": (none_found("pneumothorax"), "img1", "detect"),
        "s7": (
            changed(
                (
                    ("nodule", "longest_diameter", "unchanged", 8.1, 8.3, "mm"),
                    ("lung_right", "volume", "changed", 1903.7, 2210.5, "ml"),
                    ("heart", "volume", "changed", 702.8, 655.1, "ml"),
                ),
                ("2026-08-05", "2026-02-17"),
            ),
            "img1",
            "compare",
        ),
        "s8": (
            judged(
                "img1: noise questionable, blur ok, cut off poor.",
                (
                    ("noise", 24.9, "HU", "questionable", "air"),
                    ("blur", 1.4, "mm", "ok", "edge"),
                    ("cut_off", 6.5, "%", "poor", "rim"),
                ),
            ),
            "img1",
            "assess",
        ),
    },
    other_id="CXR52",
    other=(
        "FINDINGS: The lungs are clear. Heart size is upper normal. Degenerative changes of the spine.\n"
        "IMPRESSION: No acute cardiopulmonary process."
    ),
    own=(
        "FINDINGS: Patchy opacity in the left lower lobe. The heart is not enlarged. "
        "No pleural effusion or pneumothorax. Suspected hiatal hernia. "
        "Nodule of 9 mm in the right middle lobe. Mild scoliosis.\n"
        "IMPRESSION: Left lower lobe opacity, possibly pneumonia. Chest CT in 3 months recommended."
    ),
)
