"""A made reading: what every id holds is known, because it was drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tools.facts import AttachmentFacts
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import assertions_of, of_artifact
from tools.results import (
    Hits,
    LabelScore,
    MaskEntry,
    Masks,
    Measurement,
    Measurements,
    ModelUse,
    ReportHit,
    Scores,
    Text,
    ToolResult,
)
from tools.workspace import Artifact, Provenance

ORGANS = {
    "lung_left": (900, 2600), "lung_right": (1100, 3000), "liver": (1000, 2200), "spleen": (90, 400),
    "kidney_left": (100, 220), "kidney_right": (100, 220), "brain": (1000, 1600), "aorta": (80, 300),
    "stomach": (120, 700), "pancreas": (40, 130),
}  # fmt: skip
LABELS = ("effusion", "cardiomegaly", "pneumothorax", "consolidation", "atelectasis", "nodule", "edema")
FOREIGN = (
    "There is a small left pleural effusion.", "No pneumothorax is seen.", "The heart is enlarged.",
    "Right basilar atelectasis is present.", "The lungs are clear.", "There is no focal consolidation.",
    "A calcified granuloma is noted in the left upper lobe.", "Mild degenerative changes of the thoracic spine.",
)  # fmt: skip
OWN = (
    "There is a small right pleural effusion.", "No pneumothorax.", "Possible left lower lobe pneumonia.",
    "The heart is mildly enlarged.", "There is a left apical nodule.", "No evidence of consolidation.",
)  # fmt: skip


@dataclass(frozen=True)
class MadeReading:
    """Evidence by id, and the facts from which true sentences are written."""

    evidence: Mapping[str, Evidence]
    rows: tuple[Measurement, ...]
    scores: tuple[LabelScore, ...]
    outlined: tuple[str, ...]
    not_found: tuple[str, ...]
    foreign: Mapping[str, str]
    """Report id → its sentence."""
    own: tuple[str, ...]
    opinion: str
    modality: str

    def look_up(self, evidence_id: str) -> Evidence | None:
        """Return what an id holds."""
        return self.evidence.get(evidence_id)


def make_reading(seed: int) -> MadeReading:
    """Make a reading from a seed; the same seed gives the same reading."""
    rng = Random(seed)
    targets = tuple(rng.sample(sorted(ORGANS), 4))
    if "lung_left" in targets or "lung_right" in targets:
        targets = tuple(dict.fromkeys(("lung_left", "lung_right", *targets)))[:4]
    missing = tuple(rng.sample([t for t in sorted(ORGANS) if t not in targets], 1))
    modality = rng.choice(("CT", "CT", "MR"))
    rows = tuple(row for t in targets for row in _rows(rng, t, modality))
    if len(targets) > 1:
        rows += (_ratio(rows, targets[0], targets[1]),)
    scores = tuple(
        LabelScore(
            label=label, score=round(rng.uniform(0.02, 0.98), 3), operating_point=round(rng.uniform(0.2, 0.6), 2)
        )
        for label in rng.sample(LABELS, 3)
    )
    foreign = {f"CXR{rng.randrange(1, 4000)}": rng.choice(FOREIGN) for _ in range(2)}
    own = tuple(rng.sample(OWN, 3))
    opinion = rng.choice(("The lungs look hyperinflated.", "I see no fracture.", "The heart appears enlarged."))
    facts = {"img1": AttachmentFacts(id="img1", modality=modality, modality_source="header", dims=3, has_spacing=True)}
    masks = Masks(
        summary="Structures were outlined.",
        image="img1",
        masks=tuple(MaskEntry(target=t, file=f"{t}.nii.gz", voxels=rng.randrange(1000, 99999)) for t in targets)
        + tuple(MaskEntry(target=t, file=f"{t}.nii.gz", voxels=0) for t in missing),
        model=ModelUse(card="organs", runtime="onnx", version="1"),
    )
    results: dict[str, ToolResult] = {
        "s1": masks,
        "s2": Measurements(summary="Structures were measured.", rows=rows),
        "s3": Scores(summary="Findings were scored.", image="img1", rows=scores),
        "s4": Hits(summary="Reports of other patients match.", query="lungs", hits=tuple(map(_hit, foreign.items()))),
        "s5": Text(
            summary="A model answered.", image="img1", question="What is seen?", answer=opinion, marks=("opinion",)
        ),
    }
    evidence = {i: of_artifact(artifact_of(i, r, image="img1"), facts) for i, r in results.items()}
    evidence["img1"] = Evidence(
        id="img1", source="attachment", images=("img1",), modalities=frozenset({modality}), kind="image",
        sequences=(("", (512.0, 512.0, 133.0)), ("mm", (0.703, 0.703, 2.5))),
        words=frozenset({modality.lower(), "header"}),
    )  # fmt: skip
    for report_id, sentence in foreign.items():
        evidence[report_id] = Evidence(text=f"FINDINGS: {sentence}", id=report_id, source="other report", kind="report")
    text = "FINDINGS: " + " ".join(own)
    evidence["rep1"] = Evidence(
        text=text, id="rep1", source="own report", kind="report", assertions=tuple(assertions_of(text))
    )
    return MadeReading(evidence, rows, scores, targets, missing, foreign, own, opinion, modality)


def artifact_of(step: str, result: ToolResult, *, image: str, tool: str = "made") -> Artifact:
    """Return a result as the artifact of a step, as if a tool had made it from an image."""
    made = Provenance(tool=tool, tool_version="0", params={}, inputs=(image,))
    return Artifact(
        id=step, kind=result.kind, summary=result.summary, data=result.model_dump(mode="json"), marks=result.marks,
        provenance=made,
    )  # fmt: skip


def _rows(rng: Random, target: str, modality: str) -> list[Measurement]:
    low, high = ORGANS[target]
    longest = rng.uniform(60, 190)
    values = [
        ("volume", rng.uniform(low, high), "ml"),
        ("mean_intensity", rng.uniform(-860, 90), "HU"),
        ("longest_diameter", longest, "mm"),
        ("perpendicular_diameter", longest * rng.uniform(0.4, 0.8), "mm"),
        ("surface_area", rng.uniform(150, 900), "cm2"),
    ]
    if modality != "CT":
        values.pop(1)
    return [_row(target, quantity, round(value, 2), unit) for quantity, value, unit in values]


def _row(target: str, quantity: str, value: float, unit: str, method: str = "from the mask") -> Measurement:
    return Measurement(
        target=target, quantity=quantity, value=value, unit=unit, image="img1", mask="s1", spacing_source="header",
        method=method,
    )  # fmt: skip


def _ratio(rows: tuple[Measurement, ...], first: str, second: str) -> Measurement:
    volumes = {row.target: row.value for row in rows if row.quantity == "volume"}
    method = f"volume of {first} ÷ volume of {second}"
    return _row(first, "volume_ratio", round(volumes[first] / volumes[second], 4), "", method)


def _hit(item: tuple[str, str]) -> ReportHit:
    report_id, sentence = item
    return ReportHit(
        report_id=report_id, section="findings", sentence=sentence, start=10, end=10 + len(sentence), score=1.0,
        why="said",
    )  # fmt: skip
