"""Sentences on scores, boxes and opinions hold against the check that answers are put through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.claims import claims_of
from tools.grounding import evidence_in, problem_with
from tools.results import Box, Boxes, LabelScore, ModelUse, Scores, Text, ToolResult
from tools.testing import phantom_reading
from tools.verbs.classify import summary_of
from tools.workspace import Artifact, Provenance, Workspace

USE = ModelUse(card="tiny-model", runtime="x", version="1")


def kept(workspace: Workspace, result: ToolResult) -> Artifact:
    artifact = Artifact(
        id="s8", kind=result.kind, summary=result.summary, data=result.model_dump(mode="json"), marks=result.marks,
        provenance=Provenance(tool="x", tool_version="0", params={}, inputs=("img1",)),
    )  # fmt: skip
    workspace.add_artifact(artifact)
    return artifact


def sentences(folder: Path, result: ToolResult) -> list[str]:
    workspace = phantom_reading(folder)
    claims = claims_of(kept(workspace, result))
    look_up = evidence_in(workspace, lambda: None)
    for claim in claims:
        assert problem_with(claim, look_up) is None, claim
        assert "s8" in claim.evidence
    return [claim.text for claim in claims]


def scores(*rows: tuple[str, float, float | None]) -> Scores:
    made = tuple(LabelScore(label=n, score=s, operating_point=p) for n, s, p in rows)
    return Scores(summary=summary_of(made, "img1", "Tiny"), image="img1", rows=made, model=USE)


def test_few_scores_are_each_said_against_their_operating_point(tmp_path: Path) -> None:
    said = sentences(tmp_path, scores(("effusion", 0.81, 0.5), ("pneumothorax", 0.3, 0.5), ("mass", 0.6, None)))
    assert said == [
        "The model tiny-model scores effusion at 0.81, at or above its operating point of 0.50.",
        "No other finding reaches its operating point in the model tiny-model; that excludes nothing.",
        "The model tiny-model scores pneumothorax at 0.30, below its operating point of 0.50.",
        "The model tiny-model scores mass at 0.60, it has no operating point.",
    ]


def test_many_scores_are_one_sentence(tmp_path: Path) -> None:
    rows = [(f"finding_{n}", 0.1, 0.5) for n in range(18)]
    assert sentences(tmp_path, scores(*rows)) == [
        "None of the 18 findings reaches its operating point in the model tiny-model; that excludes nothing."
    ]


@pytest.mark.parametrize("has_mm", [True, False])
def test_boxes_are_said_where_they_lie(tmp_path: Path, has_mm: bool) -> None:
    in_mm = {"lower_mm": (-10.0, 5.5, 0.0), "upper_mm": (20.0, 60.25, 0.0)} if has_mm else {}
    box = Box(label="left opacity", score=0.62, lower=(3.0, 4.0, 0.0), upper=(9.0, 12.5, 0.0), **in_mm)
    summary = "1 region matches “left opacity” in img1, the best with score 0.62 (Tiny)."
    result = Boxes(summary=summary, image="img1", looked_for="left opacity", boxes=(box,), model=USE)
    said = sentences(tmp_path, result)
    where = (
        "x −10.0 mm to 20.0 mm, y 5.5 mm to 60.2 mm, z 0.0 mm to 0.0 mm (x to the right, y to the front, z to the head)"
        if has_mm
        else "i 3.0 to 9.0, j 4.0 to 12.5 (voxels)"
    )
    assert said[1] == f"Box 1 for “left opacity”: {where}, score 0.62."


def test_an_opinion_is_marked_as_one(tmp_path: Path) -> None:
    result = Text(
        summary="Tiny answered a question about img1 as its opinion (4 words).",
        image="img1", question="What is shown?", answer="A large heart, 3 leads", marks=("opinion",), model=USE,
    )  # fmt: skip
    workspace = phantom_reading(tmp_path)
    claim = claims_of(kept(workspace, result))[0]
    assert claim.kind == "model opinion"
    assert claim.text == "The model's opinion (tiny-model): “A large heart, 3 leads”"
    assert problem_with(claim, evidence_in(workspace, lambda: None)) is None
