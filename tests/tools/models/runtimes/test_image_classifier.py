from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tools.models.runtimes.tiny_models import SMALL, film, loading, prepare, quiet
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.models.runtimes.image_classifier import load

GIVEN = {
    "targets": ("effusion", "pneumothorax"),
    "aliases": {"pleural_effusion": "effusion"},
    "options": {"output": "sigmoid", "operating_points": {"effusion": 0.4}, "labels": {"LABEL_X": ""}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    names = {0: "Pneumothorax", 1: "LABEL_X", 2: "Pleural effusion"}
    config = ViTConfig(**SMALL, image_size=32, patch_size=16, id2label=names)
    ViTForImageClassification(config).save_pretrained(tmp_path)
    return prepare(tmp_path, "ViTImageProcessor")


def expected(folder: Path) -> torch.Tensor:
    from transformers import ViTForImageClassification

    model = ViTForImageClassification.from_pretrained(folder).eval()
    rgb = np.repeat(film().array[:, :, 0].T[..., None], 3, axis=2)
    resized = np.asarray(Image.fromarray(rgb).resize((32, 32), Image.Resampling.BILINEAR), np.float32)
    pixels = (torch.from_numpy(resized).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    with torch.inference_mode():
        return model(pixel_values=pixels).logits[0]


def test_scores_are_the_networks_own_and_stand_against_the_cards_points(folder: Path) -> None:
    rows = load(loading(folder, **GIVEN)).classify(film(), (), quiet)

    logits = expected(folder).sigmoid()
    assert [row.label for row in rows] == ["pneumothorax", "effusion"]  # LABEL_X has no meaning
    assert [row.score for row in rows] == pytest.approx([float(logits[0]), float(logits[2])], abs=1e-5)
    assert [row.operating_point for row in rows] == [None, 0.4]


def test_softmax_and_a_choice_of_labels(folder: Path) -> None:
    given = {**GIVEN, "options": {"labels": {"LABEL_X": ""}}}
    rows = load(loading(folder, **given)).classify(film(), ("effusion",), quiet)

    assert [(row.label, row.score) for row in rows] == [
        ("effusion", pytest.approx(float(expected(folder).softmax(-1)[2]), abs=1e-5))
    ]


def test_weights_that_do_not_fit_are_refused_not_made_up(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    state = load_file(file)
    del state["classifier.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match=r"do not fit the network \(classifier\.weight\): it is another model"):
        load(loading(folder, **GIVEN))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 32}, "could not be loaded"),
        (
            {"model_type": "lab-net", "auto_map": {"AutoModel": "own.Net"}},
            r"'lab-net'.*brings its own code, which is not",
        ),
        ({"model_type": None}, "config.json of model 'tiny' must name a model_type|is of type 'None'"),
    ],
)
def test_another_config_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnavailableError, match=said):
        load(loading(folder, **GIVEN))


def test_a_card_of_other_labels_is_refused(folder: Path) -> None:
    with pytest.raises(BadInputError, match="names targets hernia, which the network does not have; it has Pneumo"):
        load(loading(folder, **{**GIVEN, "targets": ("effusion", "hernia")}))
    with pytest.raises(BadInputError, match="names operating points of mass"):
        load(loading(folder, **{**GIVEN, "options": {"operating_points": {"mass": 0.5}}}))
    with pytest.raises(BadInputError, match=r"\[options\] output: Input should be"):
        load(loading(folder, **{**GIVEN, "options": {"output": "hardmax"}}))


def test_blank_nan_and_volumes_are_refused(folder: Path) -> None:
    runtime = load(loading(folder, **GIVEN))
    with pytest.raises(BadInputError, match="blank: every pixel has the value 3"):
        runtime.classify(replace(film(), array=np.full((9, 9, 1), 3, np.uint8)), (), quiet)
    with pytest.raises(BadInputError, match="no numbers"):
        runtime.classify(replace(film(), array=np.full((9, 9, 1), np.nan, np.float32)), (), quiet)
    with pytest.raises(UnsupportedError, match="reads single pictures, got a volume of 4 slices"):
        runtime.classify(replace(film(), array=np.zeros((9, 9, 4), np.uint8)), (), quiet)


def test_transformers_missing_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UnavailableError, match=r"pip install 'readingroom\[encoders\]'"):
        load(loading(folder, **GIVEN))
