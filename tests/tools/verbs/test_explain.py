"""explain: the map of a trained classifier lies where what it learned lies, and says when it cannot be believed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tools.training.test_classification import SETTINGS, film, films
from tools.contract import ToolContext
from tools.errors import UnsupportedError
from tools.explaining import maps
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.read import read_image
from tools.models.card import ModelCard
from tools.models.hub import Hub
from tools.models.runtimes.base import Attention
from tools.testing import NoModel
from tools.training.cards import save_classifier
from tools.training.classification import train_classifier
from tools.verbs.explain import explain
from tools.workspace import Workspace


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """A hub with a classifier that tells films with a bright square from those without."""
    folder = tmp_path_factory.mktemp("weights")
    made = train_classifier(films(), SETTINGS, lambda done, what: None, folder / "state.pt")
    save_classifier(folder, made, [film(True, 0)])
    return Hub.installed(weights_dir=folder)


def reading(tmp_path: Path, hub: Hub, bright: bool) -> ToolContext:
    workspace = Workspace(tmp_path / "reading")
    volume = film(bright, 555)
    write_nifti(tmp_path / "film.nii.gz", np.asarray(volume.array), volume)
    facts = AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)
    workspace.add_attachment(tmp_path / "film.nii.gz", facts)
    return ToolContext(workspace=workspace, step_id="s1", hub=hub, open_knowledge=SimpleNamespace, open_llm=NoModel)


def test_the_map_lies_on_the_square_and_hiding_it_takes_the_score_away(tmp_path: Path, hub: Hub) -> None:
    ctx = reading(tmp_path, hub, bright=True)
    made = explain(ctx, image="img1", finding="square")
    hidden = read_image(ctx.folder / "occlusion.nii.gz").array[..., 0]
    peak = np.unravel_index(int(hidden.argmax()), hidden.shape)
    assert 54 <= peak[0] <= 90
    assert 6 <= peak[1] <= 42
    assert made.operating_point is not None
    assert made.score >= made.operating_point
    assert made.marks == ("opinion",)
    assert (ctx.folder / "explanation.png").stat().st_size > 5000
    assert "A heat map shows what the score rests on" in " ".join(made.notes)


def test_a_low_score_is_said_to_be_one(tmp_path: Path, hub: Hub) -> None:
    made = explain(reading(tmp_path, hub, bright=False), image="img1", finding="square")
    assert any("below its operating point" in note for note in made.notes)


def test_a_model_without_access_to_its_network_is_refused_by_name(tmp_path: Path, hub: Hub) -> None:
    closed = ModelCard(
        name="closed", title="t", verb="classify", runtime="hu_threshold", version="1", targets=("square",),
        modality=("CR",), seconds=1, licence="x", source="x", trust="tested",
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="gives no access"):
        explain(reading(tmp_path, Hub([closed]), bright=True), image="img1", finding="square")


def test_maps_of_a_network_with_a_known_answer() -> None:
    """A network that adds up the pixels of one corner."""
    import torch

    class Corner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.Conv2d(1, 1, 1, bias=False)
            torch.nn.init.ones_(self.features.weight)

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            found = self.features(seen)
            return found[:, :, :16, :16].sum(dim=(2, 3))

    seen = torch.zeros(1, 1, 64, 64)
    seen[..., :16, :16] = 1.0
    attention = Attention(Corner(), seen, 0, lambda given: given)
    hidden = maps.occlusion(attention, lambda done, what: None)
    assert hidden[:12, :12].min() > 0
    assert abs(hidden[32:, 32:]).max() == pytest.approx(0, abs=1e-5)
    region = np.zeros((64, 64), bool)
    region[:16, :16] = True
    found = maps.faithfulness(attention, region, seed=0)
    assert found.score == pytest.approx(256)
    assert found.masked == pytest.approx(256 * float(seen.mean()), rel=1e-4)
    assert found.drop > 100
    edited = maps.filled(torch.full((1, 1, 32, 32), 3.0), np.pad(np.ones((4, 4), bool), 14))
    assert edited.numpy() == pytest.approx(3.0, abs=1e-4)
