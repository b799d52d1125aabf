"""A person's own networks behind `enhance` and `synthesize`: a card and a TorchScript file in the folder of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.models.runtimes.test_array_network import Twice, saved
from tools.contract import ToolContext
from tools.imaging.nifti import read_nifti
from tools.models.hub import Hub
from tools.projection.film import burned
from tools.results import Image
from tools.testing import NoModel, phantom_reading
from tools.verbs.enhance import enhance
from tools.verbs.synthesize import synthesize

CARD = """
name = "{name}"
title = "My network"
verb = "{verb}"
runtime = "torchscript"
version = "1"
targets = {targets}
dims = [3]
seconds = 1
licence = "mine"
source = "made by a test"
limits = ["Trained on nothing."]

[weights]
file = "{name}/network.pt"

[options]
size = [8, 8, 8]
labels = ["image"]
intensity = "minmax"
"""


class Denser(torch.nn.Module):
    """A convolution whose weights are known: the image, its scaled values halved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv3d(1, 1, 3, padding=1, bias=False)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.weight[0, 0, 1, 1, 1] = 0.5

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(image)
        return found


def reading(folder: Path, verb: str, network: torch.nn.Module, targets: str = "[]") -> ToolContext:
    """A reading of the chest phantom on a machine where a person installed the network."""
    mine = folder / "weights" / "my-network"
    mine.mkdir(parents=True)
    (mine / "card.toml").write_text(CARD.format(name="my-network", verb=verb, targets=targets))
    saved(network, torch.zeros(1, 1, 6, 7, 5), "pt", mine)
    hub = Hub.installed(weights_dir=folder / "weights")
    return ToolContext(phantom_reading(folder), "s9", hub, lambda: None, NoModel)


def test_enhance_uses_a_super_resolution_network_of_ones_own(tmp_path: Path) -> None:
    ctx = reading(tmp_path, "enhance", Twice(), '["super_resolution"]')
    before = ctx.workspace.volume("img1")
    result = enhance(ctx, image="img1", operation="super_resolution")
    assert isinstance(result, Image)
    fine = read_nifti(ctx.folder / result.file)
    assert fine.spacing_mm == pytest.approx([s / 2 for s in before.spacing_mm])
    assert np.array_equal(fine.array[::2, ::2, ::2], before.array)
    assert np.allclose(fine.affine_ras @ [0.5, 0.5, 0.5, 1], before.affine_ras @ [0, 0, 0, 1])
    assert result.marks == ("synthetic",)
    assert "SyntheticNote" in fine.header
    assert result.model is not None
    assert (result.model.card, result.model.runtime) == ("my-network", "torchscript")
    assert len(result.model.weights_sha256) == 64
    assert "Trained on nothing." in result.notes
    assert not any("adds no information" in note for note in result.notes)


def test_synthesize_uses_a_generator_of_ones_own(tmp_path: Path) -> None:
    ctx = reading(tmp_path, "synthesize", Denser())
    before = ctx.workspace.volume("img1")
    result = synthesize(ctx, image="img1", output="by_model")
    assert isinstance(result, Image)
    made = read_nifti(ctx.folder / result.file)
    low = float(before.array.min())
    expected = burned(np.rint((before.array - low) * 0.5 + low).astype(np.int16))
    assert np.abs(made.array.astype(int) - expected).max() <= 1
    assert made.same_grid(replace(before, array=made.array))
    assert result.marks == ("synthetic",)
    assert "SyntheticNote" in made.header
    assert result.model is not None
    assert result.model.card == "my-network"
    assert result.facts.modality_source == "synthetic"
