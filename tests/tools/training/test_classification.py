"""A classifier from labelled images: it learns, it is judged on others, its card runs behind classify and explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.volume import Volume
from tools.models.hub import Hub
from tools.training.cards import save_classifier
from tools.training.classification import ClassifierSettings, LabelledImage, TrainedClassifier, train_classifier
from tools.training.metrics import auc, mean_interval

SETTINGS = ClassifierSettings(epochs=6, side_px=64, batch=8)
SIDE = 96


def film(bright: bool, seed: int) -> Volume:
    """Noise, with a bright square in the upper right quarter of the picture where it is `bright`."""
    rng = np.random.default_rng(seed)
    array = rng.normal(100, 20, (SIDE, SIDE, 1)).astype(np.float32)
    if bright:
        array[60:84, 12:36] += 120
    return Volume(array, np.diag([1.0, 1.0, 1.0, 1.0]), None, modality="CR", body_part="CHEST")


def films(count: int = 16) -> list[LabelledImage]:
    kinds = (("square", True), ("empty", False))
    return [
        LabelledImage(f"{name}/{n}", film(bright, 100 * bright + n), name)
        for name, bright in kinds
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    state = tmp_path_factory.mktemp("state") / "state.pt"
    return train_classifier(films(), SETTINGS, lambda done, what: None, state)


def test_it_tells_the_labels_apart_on_images_it_did_not_learn_from(made: TrainedClassifier) -> None:
    assert made.judged_on == 6
    assert {r.label for r in made.results} == {"square", "empty"}
    assert all(r.auc.value == 1.0 for r in made.results)
    assert all(r.sensitivity == 1.0 for r in made.results)


def test_its_card_is_found_by_the_hub_and_scores_images(made: TrainedClassifier, tmp_path: Path) -> None:
    card = save_classifier(tmp_path, made, [film(True, 0)])
    hub = Hub.installed(weights_dir=tmp_path)
    assert hub.status(hub.get(card.name)).state == "ready"
    facts = AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)
    choice = hub.choose("classify", facts, ("square",))
    assert choice.card.name == card.name
    yes = hub.use(choice, lambda r: r.classify(film(True, 900), ("square",), lambda done, what: None)).value
    no = hub.use(choice, lambda r: r.classify(film(False, 901), ("square",), lambda done, what: None)).value
    assert yes[0].above
    assert not no[0].above
    with pytest.raises(BadInputError, match="knows empty, square"):
        hub.use(choice, lambda r: r.classify(film(True, 1), ("round",), lambda done, what: None))


def test_a_volume_is_no_single_image(made: TrainedClassifier, tmp_path: Path) -> None:
    card = save_classifier(tmp_path, made, [film(True, 0)])
    runtime = Hub.installed(weights_dir=tmp_path).runtime(card)
    with pytest.raises(UnsupportedError, match="single images"):
        runtime.classify(Volume(np.zeros((4, 4, 4)), np.eye(4), None), (), lambda done, what: None)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (films()[:16], "at least two labels"),
        ([], "got none"),
        (films()[:18], "'empty' has 2 images"),
    ],
)
def test_too_little_to_learn_from_is_refused(images: list[LabelledImage], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=said):
        train_classifier(images, SETTINGS, lambda done, what: None, tmp_path / "state.pt")


def test_figures_with_a_known_answer() -> None:
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(scores, np.array([False, False, True, True])) == 0.75
    assert np.isnan(auc(scores, np.ones(4, bool)))
    interval = mean_interval([1.0, 1.0, float("nan")], seed=0)
    assert interval == (1.0, 1.0, 1.0, 2)
