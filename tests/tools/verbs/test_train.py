"""train: masks of a reading become a card that segment then uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tools.training.test_classification import film
from tools.contract import ToolContext
from tools.errors import BadInputError, CancelledError, UnavailableError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import write_nifti
from tools.models.hub import Hub
from tools.results import MaskEntry, Masks
from tools.testing import NoModel, chest_phantom, phantom_reading
from tools.training.metrics import overlap
from tools.verbs.classify import classify
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


# --- images with labels


@pytest.fixture
def films_reading(tmp_path: Path) -> Workspace:
    """Twelve films img1 … img12: those with a bright square are called square_N, the others empty_N."""
    workspace = Workspace(tmp_path / "films")
    for number in range(1, 13):
        bright = number <= 6
        volume = film(bright, number)
        path = tmp_path / f"{'square' if bright else 'empty'}_{number:02d}.nii.gz"
        write_nifti(path, np.asarray(volume.array), volume)
        facts = AttachmentFacts(id=f"img{number}", modality="CR", body_part="CHEST", dims=2)
        workspace.add_attachment(path, facts)
    return workspace


def every(workspace: Workspace) -> list[str]:
    return list(workspace.facts())


@pytest.fixture
def films_ctx(films_reading: Workspace, tmp_path: Path) -> Callable[..., ToolContext]:
    hub = Hub.installed(weights_dir=tmp_path / "weights")

    def make(step: str = "s1", **more: object) -> ToolContext:
        return ToolContext(
            workspace=films_reading, step_id=step, hub=hub, open_knowledge=SimpleNamespace, open_llm=NoModel, **more
        )

    return make


def test_labelled_images_become_a_classifier_that_classify_uses(films_ctx: MakeCtx, films_reading: Workspace) -> None:
    made = train(films_ctx(), examples=every(films_reading), epochs=6)
    assert made.target == "empty, square"
    assert made.trained_on == 8
    assert {row.figure for row in made.held_out} == {"AUC, square", "AUC, empty"}
    assert any("how the file names begin: empty (6), square (6)" in note for note in made.notes)
    scores = classify(films_ctx("s2"), image="img1", labels=["square"])
    assert scores.model is not None
    assert scores.model.card == made.card
    assert not (films_ctx().folder / "training-state.pt").exists()


def test_labels_may_be_said(films_ctx: MakeCtx, films_reading: Workspace) -> None:
    labels = ["Bright Spot"] * 6 + ["plain"] * 6
    made = train(films_ctx(), examples=every(films_reading), labels=labels, target="spots", epochs=1)
    assert (made.card, made.target) == ("spots-own", "bright_spot, plain")


def test_a_cancelled_classifier_goes_on_where_it_was(films_ctx: MakeCtx, films_reading: Workspace) -> None:
    told: list[str] = []

    def stop(fraction: float, what: str) -> None:
        told.append(what)
        if what.startswith("epoch 3"):
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        train(films_ctx(on_progress=stop), examples=every(films_reading), epochs=4)
    assert (films_ctx().folder / "training-state.pt").is_file()
    told.clear()
    made = train(films_ctx(on_progress=lambda _, what: told.append(what)), examples=every(films_reading), epochs=4)
    assert not any(what.startswith(("epoch 1", "epoch 2")) for what in told)
    at_once = train(films_ctx("s3"), examples=every(films_reading), epochs=4)
    assert at_once.card == made.card  # the same weights: the same model


@pytest.mark.parametrize(
    ("examples", "labels", "said"),
    [
        (range(1, 13), ["a"] * 12, "at least two labels are needed to tell apart, got only 'a'"),
        (range(1, 13), ["a", "b"], "12 images need as many labels"),
        (range(1, 9), None, "'empty' has 2 images; at least 5"),
        ([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], None, "stands there twice"),
        (range(1, 13), [" "] * 12, "an empty one"),
    ],
    ids=["one class", "mismatch", "too few", "twice", "empty"],
)
def test_labels_that_teach_nothing_are_refused(
    films_ctx: MakeCtx, examples: list[int], labels: list[str] | None, said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        train(films_ctx(), examples=[f"img{n}" for n in examples], labels=labels, epochs=1)


def test_masks_and_images_do_not_mix(ctx: MakeCtx) -> None:
    with pytest.raises(BadInputError, match="one or the other"):
        train(ctx(), examples=["s1", "img1"], target="x")
    with pytest.raises(BadInputError, match="labels: they go with images"):
        train(ctx(), examples=["s1"], labels=["x"])


def _masks(reading: Workspace, found: Masks):  # type: ignore[no-untyped-def]
    from tools.imaging.read import read_image

    for entry in found.masks:
        assert isinstance(entry, MaskEntry)
        volume = read_image(reading.step_folder("s10") / entry.file)
        yield entry.target, np.asarray(volume.array != 0), volume
