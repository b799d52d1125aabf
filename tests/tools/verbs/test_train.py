"""train: masks of a reading become a card that segment then uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tools.contract import ToolContext
from tools.errors import BadInputError, UnavailableError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import write_nifti
from tools.models.hub import Hub
from tools.results import MaskEntry, Masks
from tools.testing import NoModel, chest_phantom, phantom_reading
from tools.training.metrics import overlap
from tools.verbs.segment import segment
from tools.verbs.train import train
from tools.workspace import Workspace

MakeCtx = Callable[..., ToolContext]


@pytest.fixture
def reading(tmp_path: Path) -> Workspace:
    """The kit's chest CT with lungs s1, and the same chest without a mask, lying otherwise, as img2."""
    workspace = phantom_reading(tmp_path)
    turned = to_orientation(workspace.volume("img1"), "LPI")
    write_nifti(tmp_path / "second.nii.gz", np.asarray(turned.array), turned)
    facts = AttachmentFacts(id="img2", modality="CT", modality_source="voxel values", body_part="CHEST", dims=3)
    workspace.add_attachment(tmp_path / "second.nii.gz", facts)
    return workspace


@pytest.fixture
def ctx(reading: Workspace, tmp_path: Path) -> MakeCtx:
    hub = Hub.installed(weights_dir=tmp_path / "weights")

    def make(step: str = "s9", hub: Hub = hub) -> ToolContext:
        return ToolContext(workspace=reading, step_id=step, hub=hub, open_knowledge=SimpleNamespace, open_llm=NoModel)

    return make


def test_labels_become_a_card_that_segments_another_image(ctx: MakeCtx, reading: Workspace, tmp_path: Path) -> None:
    made = train(ctx(), examples=["s1"], target="Airy Thing", epochs=8)
    assert (made.card, made.target) == ("airy-thing-own", "airy_thing")
    assert made.held_out[0].value > 0.9
    assert any("nothing of other patients" in note for note in made.notes)
    assert {n.image for n in made.label_next} == {"img2"}
    assert len({n.slice_number for n in made.label_next}) == len(made.label_next) == 8
    found = segment(ctx("s10"), image="img2", targets=["airy_thing"])
    assert found.model is not None
    assert found.model.card == "airy-thing-own"
    lungs = to_orientation(reading.volume("img1").with_array(chest_phantom()[1]), "LPI").array
    ((_, inside, _),) = list(_masks(reading, found))
    assert overlap(inside, lungs).dice > 0.9
    assert Hub.installed(weights_dir=tmp_path / "weights").get("airy-thing-own").trust == "experimental"


def test_the_same_training_again_is_the_same_model(ctx: MakeCtx) -> None:
    first = train(ctx("s9"), examples=["s1"], target="x", epochs=1)
    again = train(ctx("s10"), examples=["s1"], target="x", epochs=1)
    assert (first.card, again.card) == ("x-own", "x-own")
    other = train(ctx("s11"), examples=["s1"], target="x", epochs=2)
    assert other.card == "x-own-2"


def test_a_mask_of_another_grid_is_refused(ctx: MakeCtx, reading: Workspace) -> None:
    other = to_orientation(reading.volume("img1"), "LPI")
    write_nifti(reading.step_folder("s1") / "lungs.nii.gz", np.asarray(chest_phantom()[1]), other)
    with pytest.raises(BadInputError, match="does not lie on the grid"):
        train(ctx(), examples=["s1"], target="x", epochs=1)


def test_without_a_folder_of_weights_nothing_is_trained(ctx: MakeCtx) -> None:
    with pytest.raises(UnavailableError, match="READINGROOM_WEIGHTS_DIR"):
        train(ctx(hub=Hub.installed()), examples=["s1"], target="x", epochs=1)


def _masks(reading: Workspace, found: Masks):  # type: ignore[no-untyped-def]
    from tools.imaging.read import read_image

    for entry in found.masks:
        assert isinstance(entry, MaskEntry)
        volume = read_image(reading.step_folder("s10") / entry.file)
        yield entry.target, np.asarray(volume.array != 0), volume
