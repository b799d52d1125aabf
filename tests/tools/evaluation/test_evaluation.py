"""Evaluating a model: known answers for figures and sets, and the report of a real trained classifier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tools.training.test_classification import film
from tools.errors import BadInputError
from tools.evaluation import conformal
from tools.evaluation.attributes import read_attributes
from tools.evaluation.classifier import evaluate_classifier
from tools.evaluation.figures import brier, calibration_bins, calibration_error
from tools.evaluation.model_report import write_classifier_report, write_segmenter_report
from tools.evaluation.segmenter import evaluate_segmenter
from tools.imaging.volume import Volume
from tools.models.hub import Hub
from tools.models.runtimes.base import Segmentation
from tools.results import LabelScore
from tools.training.classification import LabelledImage
from tools.training.segmentation import Example


class Brightest:
    """Scores how bright the square's place is; the odd one reads a mark in the corner instead."""

    def __init__(self, where: tuple[slice, slice]) -> None:
        self._where = where

    def classify(self, volume: Volume, labels: object, progress: object) -> tuple[LabelScore, ...]:
        value = float(volume.array[self._where].mean()) - float(np.median(volume.array))
        score = float(np.clip(0.5 + value / 300, 0, 1))
        return (
            LabelScore(label="square", score=score, operating_point=0.7),
            LabelScore(label="empty", score=1 - score, operating_point=0.3),
        )


def images(count: int = 20) -> list[LabelledImage]:
    return [
        LabelledImage(f"{'square' if bright else 'empty'}/{n}", film(bright, n), "square" if bright else "empty")
        for bright in (True, False)
        for n in range(count)
    ]


def test_calibration_figures_with_a_known_answer() -> None:
    scores = np.array([0.05, 0.05, 0.95, 0.95])
    truth = np.array([False, False, True, False])
    assert brier(scores, truth) == pytest.approx((3 * 0.05**2 + 0.95**2) / 4)
    assert [b.n for b in calibration_bins(scores, truth)] == [2, 2]
    assert calibration_error(scores, truth) == pytest.approx((2 * 0.05 + 2 * 0.45) / 4)


def test_a_model_that_reads_the_anatomy_takes_no_shortcut_and_one_that_reads_the_rim_does() -> None:
    def marked(image: LabelledImage) -> LabelledImage:
        array = np.array(image.volume.array)
        array[:6, :6] = 250 if image.label == "square" else 100
        return LabelledImage(image.name, image.volume.with_array(array), image.label)

    given = [marked(i) for i in images(8)]
    told: list[float] = []
    for where, expected in (((slice(62, 76), slice(20, 34)), False), ((slice(0, 6), slice(0, 6)), True)):
        found = evaluate_classifier(Brightest(where), given, {}, 0, lambda done, what: told.append(done))
        square = next(r for r in found.reports if r.label == "square")
        assert square.auc.value == 1.0
        assert square.takes_a_shortcut is expected
    assert max(told) <= 1


def test_the_report_has_subgroups_corruptions_and_plots(tmp_path: Path) -> None:
    given = images(6)
    groups = {"site": ["north" if n % 2 else "south" for n in range(len(given))]}
    found = evaluate_classifier(Brightest((slice(62, 80), slice(14, 34))), given, groups, 0, lambda done, what: None)
    card = Hub.installed().get("deepbet")
    files = write_classifier_report(card, found, len(given), tmp_path / "report")
    text = files[0].read_text(encoding="utf-8")
    assert "| site north | 6 |" in text
    assert "| gamma |" in text
    assert "Research use only" in text
    data = json.loads(files[1].read_text(encoding="utf-8"))
    assert {label["label"] for label in data["labels"]} == {"square", "empty"}
    assert all(f.stat().st_size > 2000 for f in files if f.suffix == ".png")
    assert sum(f.suffix == ".png" for f in files) == 4


def test_a_segmenter_is_judged_image_by_image_and_under_corruption(tmp_path: Path) -> None:
    class Threshold:
        def segment(self, volume: Volume, targets: object, progress: object) -> Segmentation:
            return Segmentation({"square": np.asarray(volume.array > 160)})

    rng = np.random.default_rng(0)
    examples = []
    for n in range(4):
        inside = np.zeros((40, 40, 6), bool)
        inside[10 : 20 + n, 10:20, 1:5] = True
        array = np.where(inside, 220, 100) + rng.normal(0, 3, inside.shape)
        examples.append(
            Example(f"{n}.nii.gz", Volume(array.astype(np.float32), np.eye(4), None, modality="MR"), inside)
        )
    report = evaluate_segmenter(Threshold(), "square", examples, {}, lambda done, what: None, seed=0)
    assert report.dice.value == pytest.approx(1.0)
    noise = report.by_severity["noise, share of the range"]
    assert noise[0] >= noise[-1]
    assert min(report.by_severity["blur, sigma in pixels"]) < 1
    files = write_segmenter_report(Hub.installed().get("deepbet"), report, tmp_path / "report")
    assert "No attributes were given" in files[0].read_text(encoding="utf-8")


def test_conformal_sets_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.random(n) < 0.4
        return np.clip(rng.normal(np.where(truth, 0.65, 0.35), 0.2), 0, 1), truth

    scores, truth = drawn(400)
    made = conformal.calibrate("m", {"x": scores}, {"x": truth}, 0.1)
    fresh, answer = drawn(4000)
    kept = [conformal.answers(made, "x", float(s)) for s in fresh]
    held = np.mean([("present" if a else "absent") in k for k, a in zip(kept, answer, strict=True)])
    assert 0.87 <= held <= 0.94
    assert any(len(k) == 2 for k in kept)


def test_calibration_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="at least 20"):
        conformal.calibrate("m", {"x": np.zeros(5)}, {"x": np.zeros(5, bool)}, 0.1)
    path = tmp_path / "calibration.json"
    assert conformal.load(path, "m") is None
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BadInputError, match="is damaged"):
        conformal.load(path, "m")
    conformal.save(conformal.Calibration(card="m", error_rate=0.1, limits={"x": 0.5}, cases=30), path)
    assert conformal.load(path, "m") is not None
    with pytest.raises(BadInputError, match="belongs to model 'm'"):
        conformal.load(path, "other")


def test_attributes_are_read_by_file_name(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("file,site,age\na.png,north,40\nb.png,,50\n", encoding="utf-8")
    assert read_attributes(path, ["b.png", "a.png"]) == {"site": ["unknown", "north"], "age": ["50", "40"]}
    with pytest.raises(BadInputError, match=r"no row for .c\.png."):
        read_attributes(path, ["c.png"])
    path.write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="column 'file'"):
        read_attributes(path, ["a.png"])
