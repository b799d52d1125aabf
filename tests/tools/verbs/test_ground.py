"""ground: a runtime's voxels become boxes in millimetres, with a picture."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.phantoms import oblique_affine
from tools.contract import ToolContext
from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts, Requires
from tools.imaging.geometry import voxel_to_world
from tools.imaging.nifti import write_nifti
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.models.hub import Hub, Used
from tools.models.runtimes.base import FoundBox, Grounding
from tools.preconditions import check_call
from tools.results import ModelUse
from tools.testing import NoModel
from tools.verbs.ground import ground
from tools.workspace import Workspace


class Found:
    """A runtime with a known answer."""

    operating_point = 0.3

    def __init__(self, answer: Grounding) -> None:
        self.answer, self.heard = answer, ""

    def ground(self, volume: Volume, phrase: str, progress: object) -> Grounding:
        self.heard = phrase
        return self.answer


def make_ctx(tmp_path, volume: Volume, runtime: Found) -> ToolContext:
    workspace = Workspace(tmp_path / "reading")
    write_nifti(tmp_path / "film.nii.gz", volume.array, volume)
    facts = AttachmentFacts(id="img1", modality="DX", dims=volume.dims, doubts=("It may be turned.",))
    workspace.add_attachment(tmp_path / "film.nii.gz", facts)
    card = SimpleNamespace(
        title="Finder", name="finder", limits_for=lambda targets: ("It names nothing.",), facts_needed=Requires()
    )
    hub = SimpleNamespace(
        choose=lambda verb, facts: SimpleNamespace(card=card, reason="test"),
        use=lambda choice, call: Used(call(runtime), ModelUse(card="finder", runtime="test", version="1")),
    )
    return ToolContext(workspace=workspace, step_id="s1", hub=hub, open_knowledge=lambda: None, open_llm=NoModel)


ARRAY = np.arange(40 * 30, dtype=np.int16).reshape(40, 30, 1)
BOX = FoundBox("left opacity", (3.5, 4.5, 0.0), (19.5, 12.5, 0.0), 0.62)


def test_boxes_lie_in_voxels_and_in_millimetres(tmp_path) -> None:
    volume = Volume(ARRAY, oblique_affine(), spacing_source="NIfTI header")
    runtime = Found(Grounding(boxes=(BOX,)))
    ctx = make_ctx(tmp_path, volume, runtime)

    result = ground(ctx, image="img1", phrase=" left   opacity ")

    assert runtime.heard == result.looked_for == "left opacity"
    box = result.boxes[0]
    assert (box.lower, box.upper, box.score) == (BOX.lower, BOX.upper, 0.62)
    assert box.lower_mm == pytest.approx(voxel_to_world(volume, np.array(BOX.lower)), abs=1e-3)
    assert box.upper_mm == pytest.approx(voxel_to_world(volume, np.array(BOX.upper)), abs=1e-3)
    assert result.operating_point == 0.3
    assert result.summary == "1 region matches “left opacity” in img1, the best with score 0.62 (Finder)."
    assert {"It may be turned.", "It names nothing."} <= set(result.notes)
    with Image.open(ctx.folder / "boxes.png") as picture:
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20)}
    assert (86, 180, 233) in colours


def test_without_spacing_there_are_no_millimetres(tmp_path) -> None:
    flat = Volume(ARRAY, PICTURE_AFFINE, header=ORIENTATION_UNKNOWN)
    result = ground(make_ctx(tmp_path, flat, Found(Grounding(boxes=(BOX,)))), image="img1", phrase="x")
    assert (result.boxes[0].lower_mm, result.boxes[0].upper_mm) == (None, None)


def test_nothing_found_is_said(tmp_path) -> None:
    volume = Volume(ARRAY, oblique_affine(), spacing_source="NIfTI header")
    result = ground(make_ctx(tmp_path, volume, Found(Grounding())), image="img1", phrase="a tube")
    assert result.boxes == ()
    assert result.summary == "Nothing in img1 matches “a tube” above the threshold of Finder."


def test_a_mask_becomes_a_box_around_each_part(tmp_path) -> None:
    mask = np.zeros(ARRAY.shape, bool)
    mask[2:5, 3:9] = mask[20:30, 11:25] = True
    volume = Volume(ARRAY, oblique_affine(), spacing_source="NIfTI header")
    result = ground(make_ctx(tmp_path, volume, Found(Grounding(mask=mask))), image="img1", phrase="x")
    assert [(b.lower, b.upper) for b in result.boxes] == [
        ((20.0, 11.0, 0.0), (29.0, 24.0, 0.0)),
        ((2.0, 3.0, 0.0), (4.0, 8.0, 0.0)),
    ]


def test_a_box_outside_the_image_is_the_runtimes_bug(tmp_path) -> None:
    outside = replace(BOX, upper=(40.0, 3.0, 0.0))
    volume = Volume(ARRAY, oblique_affine(), spacing_source="NIfTI header")
    with pytest.raises(ValueError, match="a box outside the image"):
        ground(make_ctx(tmp_path, volume, Found(Grounding(boxes=(outside,)))), image="img1", phrase="x")


@pytest.mark.parametrize("phrase", ["  ", "word " * 61])
def test_a_phrase_of_no_or_too_many_words_is_refused(tmp_path, phrase: str) -> None:
    with pytest.raises(BadInputError, match="phrase: say in 1 to 60 words"):
        ground(make_ctx(tmp_path, Volume(ARRAY, np.eye(4)), Found(Grounding())), image="img1", phrase=phrase)


def test_a_volume_is_refused_before_anything_runs() -> None:
    facts = {"img1": AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)}
    with pytest.raises(UnsupportedError, match="2-D is needed: it reads single pictures"):
        check_call(ground, {"image": "img1", "phrase": "x"}, facts, Hub.installed())
