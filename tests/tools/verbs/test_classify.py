"""classify through the hub, with a tiny classifier of random weights that the test makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.models.runtimes.tiny_models import SMALL, card, prepare
from tools.contract import ToolContext
from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.models.hub import Hub
from tools.preconditions import check_call
from tools.results import LabelScore, Scores
from tools.testing import NoModel
from tools.verbs.classify import classify, summary_of
from tools.workspace import Workspace

CARD = {
    "runtime": "image_classifier", "targets": ("effusion", "pneumothorax", "mass"), "modality": ("CR", "DX"),
    "body_part": ("CHEST",), "dims": (2,), "view": ("PA", "AP"), "requires": "it was trained on films",
    "limits": ("Trained on nothing.",), "aliases": {"pleural_effusion": "effusion"},
}  # fmt: skip


def facts(**given: object) -> AttachmentFacts:
    least = {"id": "img1", "modality": "CR", "modality_source": "stated by the person", "dims": 2}
    return AttachmentFacts(**{**least, **given})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    folder = tmp_path / "weights" / "tiny"
    names = {0: "effusion", 1: "pneumothorax", 2: "mass"}
    model = ViTForImageClassification(ViTConfig(**SMALL, image_size=32, patch_size=16, id2label=names))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.logit(torch.tensor([0.8, 0.3, 0.6])))
    model.save_pretrained(folder)
    prepare(folder, "ViTImageProcessor")
    return tmp_path / "weights"


def make_ctx(tmp_path: Path, weights: Path, picture: np.ndarray, points: dict[str, float]) -> ToolContext:
    path = tmp_path / "film.png"
    Image.fromarray(picture).save(path)
    workspace = Workspace(tmp_path / "reading")
    workspace.add_attachment(path, facts(doubts=("It may be upside down.",)))
    made = card(**CARD, weights={"file": "tiny"}, options={"output": "sigmoid", "operating_points": points})
    return ToolContext(
        workspace=workspace,
        step_id="s1",
        hub=Hub([made], weights_dir=weights),
        open_knowledge=lambda: None,
        open_llm=NoModel,
    )


RAMP = np.tile(np.arange(64, dtype=np.uint8), (48, 1))


def test_scores_stand_against_operating_points_with_a_chart(tmp_path: Path, weights: Path) -> None:
    ctx = make_ctx(tmp_path, weights, RAMP, {"effusion": 0.5, "pneumothorax": 0.5})

    result = classify(ctx, image="img1", labels=None)

    assert isinstance(result, Scores)
    assert [(r.label, round(r.score, 4), r.operating_point) for r in result.rows] == [
        ("effusion", 0.8, 0.5),
        ("pneumothorax", 0.3, 0.5),
        ("mass", 0.6, None),
    ]
    assert result.summary == (
        "1 of 2 findings reach the operating point in img1: effusion 0.80 (operating point 0.50) (Tiny). "
        "Not judged, for want of an operating point: mass."
    )
    assert "normal" not in result.summary
    assert result.notes[0] == "It may be upside down."
    assert "Trained on nothing." in result.notes
    assert result.model is not None
    assert result.model.card == "tiny"
    with Image.open(ctx.folder / "scores.png") as chart:
        chart.load()
        assert chart.format == "PNG"
        colours = {pixel for _, pixel in chart.convert("RGB").getcolors(1 << 20)}
    assert {(230, 159, 0), (86, 180, 233), (110, 118, 130)} <= colours  # reached, below, not judged


def test_labels_are_asked_for_in_the_persons_words(tmp_path: Path, weights: Path) -> None:
    ctx = make_ctx(tmp_path, weights, RAMP, {"effusion": 0.9})
    result = classify(ctx, image="img1", labels=["Pleural effusion"])
    assert [row.label for row in result.rows] == ["effusion"]
    assert result.summary == (
        "No finding above its threshold in img1: effusion did not reach its operating point (Tiny)."
    )
    assert result.none_above


def test_a_blank_film_is_refused(tmp_path: Path, weights: Path) -> None:
    ctx = make_ctx(tmp_path, weights, np.full((40, 40), 5, np.uint8), {})
    with pytest.raises(BadInputError, match="blank: every pixel has the value 5"):
        classify(ctx, image="img1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modality": "CT", "dims": 3}, "img1 is CT, CR or DX is needed: it was trained on films"),
        ({"view": "LL"}, "img1 is a LL view, PA or AP is needed"),
        ({"body_part": "HAND"}, "shows HAND, CHEST is needed"),
        ({"looks": "colour", "looks_why": "half of it is green"}, r"is a colour picture \(half of it is green\)"),
    ],
)
def test_the_guard_refuses_before_anything_is_loaded(given: dict[str, object], said: str) -> None:
    hub = Hub([card(**CARD, weights={"file": "tiny"})])
    with pytest.raises(UnsupportedError, match=said):
        check_call(classify, {"image": "img1", "labels": None}, {"img1": facts(**given)}, hub)


def rows(*scores: tuple[float, float | None]) -> list[LabelScore]:
    return [LabelScore(label=f"f{n}", score=s, operating_point=p) for n, (s, p) in enumerate(scores)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rows((0.1, 0.5), (0.49, 0.5)), "No finding above its threshold in img1: none of the 2 findings reached its"),
        (rows((0.1, None), (0.2, None)), "M scored img1 and has no operating points: no finding is judged."),
        (rows((0.7, 0.5)), "1 finding reaches the operating point in img1: f0 0.70 (operating point 0.50) (M)."),
        (rows(*[(0.9, 0.5)] * 6), "6 of 6 findings reach the operating point in img1: "),
    ],
)
def test_the_sentence_never_says_normal(given: list[LabelScore], said: str) -> None:
    sentence = summary_of(given, "img1", "M")
    assert sentence.startswith(said)
    assert "normal" not in sentence
    assert len(sentence) < 400
