"""explain for classifiers in transformers format: Grad-CAM of a ResNet, occlusion of a ViT, on the right pixels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tools.models.runtimes.tiny_models import SMALL, card, loading, prepare
from tools.contract import ToolContext
from tools.errors import BadInputError
from tools.explaining import maps
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.read import read_image
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.models.runtimes.image_classifier import load
from tools.verbs.explain import explain
from tools.workspace import Workspace

NAMES = {0: "empty", 1: "square"}
GIVEN = {"targets": ("empty", "square")}
SIDE = 32
SQUARE = (slice(60, 84), slice(20, 44))  # i, j of a picture of 120 × 90


def film(bright: bool, seed: int = 0) -> Volume:
    """Noise, with a bright square right of the middle where it is `bright`."""
    array = np.random.default_rng(seed).normal(90, 12, (120, 90)).clip(0, 255)
    if bright:
        array[SQUARE] = 230
    return Volume(array.astype(np.uint8)[..., None], PICTURE_AFFINE, header=ORIENTATION_UNKNOWN, modality="CR")


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet that learned to tell the films apart."""
    from transformers import ResNetConfig, ResNetForImageClassification

    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=NAMES, num_labels=2
    )
    model = ResNetForImageClassification(config)
    model.save_pretrained(folder)
    prepare(folder, "ViTImageProcessor", SIDE)
    runtime = load(loading(folder, **GIVEN))
    seen = torch.cat([runtime.attention(film(n % 2 == 1, n), "square").inputs for n in range(12)])
    wanted = torch.tensor([n % 2 for n in range(12)])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(15):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(pixel_values=seen).logits, wanted).backward()
        optimiser.step()
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    folder = tmp_path / "vit"
    folder.mkdir()
    config = ViTConfig(**SMALL, image_size=SIDE, patch_size=8, id2label=NAMES, num_labels=2)
    ViTForImageClassification(config).save_pretrained(folder)
    return prepare(folder, "ViTImageProcessor", SIDE)


def context(tmp_path: Path, folder: Path, volume: Volume) -> ToolContext:
    workspace = Workspace(tmp_path / "reading")
    write_nifti(tmp_path / "film.nii.gz", np.asarray(volume.array), volume)
    facts = AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)
    workspace.add_attachment(tmp_path / "film.nii.gz", facts)
    runtime = load(loading(folder, **GIVEN))
    hub = SimpleNamespace(
        choose=lambda *_: SimpleNamespace(card=card(**GIVEN)),
        use=lambda _, work: SimpleNamespace(value=work(runtime), model=None, notes=()),
    )
    return ToolContext(workspace=workspace, step_id="s1", hub=hub, open_knowledge=None, open_llm=None)


def test_both_maps_of_a_convolutional_network_lie_on_what_it_learned(tmp_path: Path, resnet: Path) -> None:
    ctx = context(tmp_path, resnet, film(True, 77))
    made = explain(ctx, image="img1", finding="square")
    assert set(made.files) == {"grad-cam.nii.gz", "occlusion.nii.gz", "explanation.png"}
    assert made.score > 0.5
    hidden = read_image(ctx.folder / "occlusion.nii.gz").array[..., 0]
    i, j = np.unravel_index(int(hidden.argmax()), hidden.shape)
    assert 52 <= i <= 92
    assert 12 <= j <= 52


def test_a_network_of_attention_is_explained_by_occlusion_alone(tmp_path: Path, vit: Path) -> None:
    ctx = context(tmp_path, vit, film(True))
    made = explain(ctx, image="img1", finding="square")
    assert set(made.files) == {"occlusion.nii.gz", "explanation.png"}
    assert any("mixes places by attention" in note for note in made.notes)
    assert read_image(ctx.folder / "occlusion.nii.gz").array.shape == (120, 90, 1)
    assert -1 <= made.agreement_with_random_weights <= 1


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}},
    ],
    ids=["resized", "cropped"],
)  # fmt: skip
def test_a_map_lies_on_the_pixels_that_it_is_of(vit: Path, change: dict[str, Any]) -> None:
    prepare(vit, "CLIPImageProcessor" if change else "ViTImageProcessor", SIDE)
    config = json.loads((vit / "preprocessor_config.json").read_text())
    (vit / "preprocessor_config.json").write_text(json.dumps(config | change))
    attention = load(loading(vit, **GIVEN)).attention(film(True), "square")
    seen = attention.inputs[0, 0].numpy()
    back = attention.to_image(seen)[..., 0]
    inner = back[20:100, 10:80]
    own = film(True).array[20:100, 10:80, 0].astype(float)
    assert np.corrcoef(inner.ravel(), own.ravel())[0, 1] > 0.9
    bright = back > 0.5 * (back[SQUARE].mean() + back[90:100, 60:80].mean())
    rows = np.flatnonzero(bright.any(axis=1))
    assert (rows[0], rows[-1]) == (pytest.approx(60, abs=4), pytest.approx(83, abs=4))


def test_a_label_that_the_network_does_not_know_is_refused(vit: Path) -> None:
    with pytest.raises(BadInputError, match="does not know 'round'"):
        load(loading(vit, **GIVEN)).attention(film(True), "round")


def test_occlusion_takes_the_place_of_a_missing_feature_map(vit: Path) -> None:
    attention = load(loading(vit, **GIVEN)).attention(film(True), "square")
    assert attention.layer is None
    hidden = maps.occlusion(attention, lambda done, what: None)
    same = maps.agreement_with_random_weights(attention, hidden, 0)
    assert abs(same) < 1
