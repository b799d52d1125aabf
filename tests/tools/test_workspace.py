"""The folder of a reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.errors import BadInputError, NotFoundError
from tools.facts import AttachmentFacts
from tools.results import Masks, Measurements
from tools.testing import chest_phantom, phantom_reading
from tools.workspace import Workspace, write_atomically


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return phantom_reading(tmp_path)


def test_an_attachment_is_copied_and_the_original_untouched(tmp_path: Path) -> None:
    source = tmp_path / "note.txt"
    source.write_text("hello")
    workspace = Workspace(tmp_path / "reading")
    workspace.add_attachment(source, AttachmentFacts(id="rep1", kind="report"))
    workspace.attachment_path("rep1").write_text("changed")
    assert source.read_text() == "hello"


def test_ids_are_counted_per_kind(workspace: Workspace) -> None:
    assert workspace.next_id("image") == "img2"
    assert workspace.next_id("mask") == "mask1"


def test_an_id_is_not_given_twice_after_one_was_taken_out(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "reading")
    (source := tmp_path / "note.txt").write_text("hello")
    for number in (1, 2):
        workspace.add_attachment(source, AttachmentFacts(id=f"rep{number}", kind="report"))
    workspace.remove_attachment("rep1")
    assert [a.id for a in workspace.attachments()] == ["rep2"]
    assert workspace.next_id("report") == "rep3"
    with pytest.raises(NotFoundError, match="there are: rep2"):
        workspace.remove_attachment("rep1")


def test_a_volume_keeps_its_geometry_and_is_read_once(workspace: Workspace) -> None:
    array, _ = chest_phantom()
    volume = workspace.volume("img1")
    assert np.array_equal(volume.array, array)
    assert volume.spacing_mm == (3.0, 3.0, 5.0)
    assert volume.units == "HU"
    assert workspace.volume("img1") is volume


def test_masks_come_back_as_they_were_on_the_same_grid(workspace: Workspace) -> None:
    _, lungs = chest_phantom()
    ((target, inside, grid),) = workspace.masks("s1")
    assert target == "lungs"
    assert np.array_equal(inside, lungs)
    assert grid.same_grid(workspace.volume("img1"))
    assert workspace.image_of("s1") == "img1"


def test_results_come_back_typed(workspace: Workspace) -> None:
    assert workspace.result("s1", Masks).masks[0].target == "lungs"
    with pytest.raises(BadInputError, match="'s1' is of kind mask, expected measurements"):
        workspace.result("s1", Measurements)


@pytest.mark.parametrize(
    "call", [lambda w: w.artifact("s77"), lambda w: w.volume("img9"), lambda w: w.kind_of("mask3")]
)
def test_what_does_not_exist_is_named_with_what_does(workspace: Workspace, call) -> None:
    with pytest.raises(NotFoundError, match="there are: "):
        call(workspace)


def test_a_mask_is_no_image(workspace: Workspace) -> None:
    with pytest.raises(BadInputError, match="'s1' is of kind mask, expected an image"):
        workspace.volume("s1")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
