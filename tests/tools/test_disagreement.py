"""Sources that disagree are told with who says what; a model that should not be relied on is told with the reason."""

from __future__ import annotations

import pytest

from tools.disagreement import abstentions, disagreements
from tools.facts import AttachmentFacts
from tools.grounding import problem_with
from tools.grounding.evidence import Evidence
from tools.grounding.lookup import of_artifact
from tools.models.card import ModelCard
from tools.places import Region, Span
from tools.results import Box, Boxes, LabelScore, MaskEntry, Masks, Measurement, Measurements, ModelUse, Scores, Text
from tools.workspace import Artifact, Provenance

CARD = {
    "name": "a-model", "title": "A", "verb": "classify", "runtime": "onnx", "version": "1", "body_part": ["CHEST"],
    "seconds": 1, "licence": "MIT", "source": "x", "trust": "experimental",
}  # fmt: skip
FACTS = {"img1": AttachmentFacts(id="img1", modality="CR", dims=2)}


def artifact(step: str, result) -> Artifact:
    made = Provenance(tool="x", tool_version="0", params={}, inputs=("img1",))
    data = result.model_dump(mode="json")
    return Artifact(id=step, kind=result.kind, summary=result.summary, data=data, marks=result.marks, provenance=made)


def scores(step: str, label: str, score: float, point: float | None, card: str = "a-model") -> Artifact:
    rows = (LabelScore(label=label, score=score, operating_point=point),)
    use = ModelUse(card=card, runtime="onnx", version="1")
    return artifact(step, Scores(summary="Scored.", image="img1", rows=rows, model=use))


def volume(step: str, value: float, mask: str) -> Artifact:
    row = Measurement(
        target="liver",
        quantity="volume",
        value=value,
        unit="ml",
        image="img1",
        mask=mask,
        spacing_source="header",
        method="x",
    )
    return artifact(step, Measurements(summary="Measured.", rows=(row,)))


def test_two_models_on_one_finding() -> None:
    (claim,) = disagreements([scores("s1", "effusion", 0.72, 0.5), scores("s2", "Pleural_Effusion", 0.12, 0.3)], {})
    assert claim.evidence == ("s1", "s2")
    assert "s1 scores effusion 0.72, at or above its operating point of 0.50" in claim.text
    assert "s2 scores Pleural Effusion 0.12, below its operating point of 0.30" in claim.text
    assert "Neither is chosen" in claim.text


def test_a_model_and_the_report_of_this_patient() -> None:
    (claim,) = disagreements(
        [scores("s1", "effusion", 0.72, 0.5)], {"rep1": "FINDINGS: No pleural effusion. Heart normal."}
    )
    assert claim.evidence == ("s1", "rep1")
    assert "rep1 says “No pleural effusion.”" in claim.text
    score, said = claim.where
    assert (score.evidence, score.region) == ("s1", Region(image="img1"))
    assert (said.evidence, said.span) == ("rep1", Span(report="rep1", section="findings", start=10, end=30))
    assert disagreements([scores("s1", "effusion", 0.12, 0.5)], {"rep1": "FINDINGS: No pleural effusion."}) == []


def test_a_score_and_an_outline_that_found_nothing() -> None:
    empty = Masks(summary="x", image="img1", masks=(MaskEntry(target="pleural_effusion", file="m.nii.gz", voxels=0),))
    (claim,) = disagreements([scores("s1", "effusion", 0.72, 0.5), artifact("s2", empty)], {})
    assert "looked for and not found" in claim.text


def test_a_detector_and_an_opinion() -> None:
    found = Boxes(
        summary="x",
        image="img1",
        looked_for="nodule",
        boxes=(Box(label="nodule", score=0.9, lower=(0, 0, 0), upper=(1, 1, 1)),),
    )
    said = Text(summary="x", image="img1", answer="There is no nodule.", marks=("opinion",))
    (claim,) = disagreements([artifact("s1", found), artifact("s2", said)], {})
    assert "the model of s2 writes “There is no nodule.”" in claim.text
    assert [(p.evidence, p.region.lower if p.region else None) for p in claim.where] == [
        ("s1", (0, 0, 0)),
        ("s2", None),
    ]


@pytest.mark.parametrize(("second", "count"), [(1503.0, 0), (1450.0, 0), (1200.0, 1)])
def test_two_outlines_of_one_structure(second: float, count: int) -> None:
    found = disagreements([volume("s3", 1503.2, "s1"), volume("s4", second, "s2")], {})
    assert len(found) == count
    if found:
        assert "1,503 ml by s3 (outline s1), 1,200 ml by s4 (outline s2)" in found[0].text


def test_what_is_told_passes_the_check_of_sentences() -> None:
    made = [
        scores("s1", "effusion", 0.72, 0.5),
        scores("s2", "effusion", 0.12, 0.3),
        volume("s3", 1503.2, "s1"),
        volume("s4", 900.0, "s2"),
    ]
    evidence = {a.id: of_artifact(a, FACTS) for a in made} | {"img1": Evidence(id="img1", source="attachment")}
    claims = disagreements(made, {})
    assert len(claims) == 2
    assert [problem_with(c, evidence.get) for c in claims] == [None, None]
    lie = claims[0].model_copy(update={"text": claims[0].text.replace("0.72", "0.27")})
    assert "no cited evidence holds the value 0.27" in str(problem_with(lie, evidence.get))


def test_a_model_without_operating_point_or_outside_its_domain_abstains_and_says_what_would_help() -> None:
    card = ModelCard.model_validate(CARD)
    told = [c.text for c in abstentions([scores("s1", "effusion", 0.72, None)], FACTS, [card])]
    assert any("no operating point, so nothing is said" in t and "would help" in t for t in told)
    assert any("does not say which body part" in t and "would help" in t for t in told)
    assert any("no published evaluation" in t for t in told)
    known = {"img1": FACTS["img1"].model_copy(update={"body_part": "CHEST"})}
    tested = card.model_copy(update={"trust": "tested"})
    assert abstentions([scores("s1", "effusion", 0.72, 0.5)], known, [tested]) == []


@pytest.mark.parametrize(
    ("score", "abstains"), [(0.53, True), (0.47, True), (0.55, False), (0.44, False), (0.9, False)]
)
def test_a_score_near_its_operating_point_decides_nothing(score, abstains) -> None:
    card = ModelCard.model_validate(CARD | {"abstain_margin": 0.05, "trust": "tested"})
    made = scores("s1", "effusion", score, 0.5)
    said = [c for c in abstentions([made], FACTS, [card]) if "does not decide" in c.text]
    assert bool(said) is abstains
    if said:
        assert f"score of {score:.2f} in s1 lies too near its operating point of 0.50" in said[0].text
        assert "second model would help" in said[0].text
        assert problem_with(said[0], lambda i: of_artifact(made, FACTS) if i == "s1" else None) is None


@pytest.mark.parametrize(("score", "abstains"), [(0.52, True), (0.61, False)])
def test_a_box_near_the_operating_point_decides_nothing(score, abstains) -> None:
    card = ModelCard.model_validate(CARD | {"abstain_margin": 0.05, "trust": "tested"})
    box = Box(label="nodule", score=score, lower=(1, 1, 1), upper=(4, 4, 4))
    result = Boxes(
        summary="Found 1 box.", image="img1", looked_for="nodule", boxes=(box,), operating_point=0.5,
        model=ModelUse(card=card.name, runtime="onnx", version="1"),
    )  # fmt: skip
    made = artifact("s1", result)
    said = [c for c in abstentions([made], FACTS, [card]) if "does not decide" in c.text]
    assert bool(said) is abstains
    if said:
        assert (
            f"box 1 for nodule: its score of {score:.2f} in s1 lies too near its operating point of 0.50"
            in said[0].text
        )
        assert "would help" in said[0].text
        assert said[0].where[0].region.lower == (1, 1, 1)
        assert problem_with(said[0], {"s1": of_artifact(made, FACTS), "img1": Evidence(id="img1")}.get) is None
