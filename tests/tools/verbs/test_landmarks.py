from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.phantoms_ct import SHAPE, chest, ct, cylinder, ellipsoid, soft_body
from tools.contract import ToolContext
from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation, voxel_to_world, world_to_voxel
from tools.imaging.nifti import write_nifti
from tools.imaging.read import read_image
from tools.imaging.render import overlay_png
from tools.imaging.volume import BoolArray, Volume
from tools.models.hub import Hub
from tools.models.runtimes.landmarks_from_masks import LandmarksFromMasks
from tools.results import Points
from tools.verbs.landmarks import landmarks
from tools.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import SampleGetter

MakeReading = Callable[..., ToolContext]


def _never() -> None:
    raise AssertionError("landmarks needs neither reports nor a language model")


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    def make(volume: Volume, masks: dict[str, BoolArray] | None = None) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        write_nifti(tmp_path / "img.nii.gz", np.asarray(volume.array), volume)
        facts = {"id": "img1", "modality": "CT", "modality_source": "voxel values", "body_part": "CHEST", "dims": 3}
        workspace.add_attachment(tmp_path / "img.nii.gz", AttachmentFacts.model_validate(facts))
        for number, (label, mask) in enumerate((masks or {}).items(), start=1):
            file = tmp_path / f"{label}.nii.gz"
            write_nifti(file, mask, volume)
            workspace.add_attachment(
                file, AttachmentFacts(id=f"mask{number}", kind="mask", of="img1", label=label, dims=3)
            )
        return ToolContext(
            workspace=workspace, step_id="s1", hub=Hub.installed(), open_knowledge=_never, open_llm=_never
        )

    return make


def fork() -> tuple[Volume, BoolArray]:
    """A trachea that forks at k = 40, a little to the right of the middle; axes to Right, Anterior, Superior."""
    airways = cylinder((78, 60), 5.0, slice(40, 85))
    for step in range(20):
        k = 39 - step
        for side in (-1, 1):
            airways |= cylinder((78 + side * (7 + step), 60), 4.0, slice(k, k + 1))
    array = soft_body()
    array[airways] = -1000
    return ct(array), airways


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPR"])
def test_the_carina_is_where_the_airways_fork(codes: str) -> None:
    upright, airways = fork()
    volume = to_orientation(upright, codes)
    mask = to_orientation(upright.with_array(airways.astype(np.uint8)), codes).array > 0
    found = LandmarksFromMasks().landmarks_of(volume, {"airways": mask}, ["carina"], lambda done, what: None)
    expected = world_to_voxel(volume, voxel_to_world(upright, np.array([78.0, 60.0, 39.0])))
    assert found[0].voxel == pytest.approx(tuple(expected), abs=0.6)


def test_a_trachea_that_does_not_fork_has_no_carina() -> None:
    upright, _ = fork()
    straight = cylinder((78, 60), 5.0, slice(20, 85))
    assert LandmarksFromMasks().landmarks_of(upright, {"airways": straight}, ["carina"], lambda d, w: None) == ()


def test_ends_of_structures_are_found_on_their_side() -> None:
    phantom = chest()
    outlines = {"lung_left": phantom.left, "lung_right": phantom.right}
    names = ["lung_apices", "diaphragm_dome"]
    found = {
        p.name: p.voxel for p in LandmarksFromMasks().landmarks_of(phantom.volume, outlines, names, lambda d, w: None)
    }
    assert found["lung_apex_left"] == pytest.approx((47, 62, 75.5), abs=1)
    assert found["lung_apex_right"] == pytest.approx((102, 62, 78.5), abs=1)
    assert set(found) >= {"lung_apex_left", "lung_apex_right"}


def test_the_dome_is_the_highest_point_of_the_lower_surface() -> None:
    """A lung on a diaphragm that bulges up by 20 slices in its back half."""
    lung = np.zeros(SHAPE, bool)
    lung[30:70, 20:100, 10:80] = True
    lung &= ~ellipsoid((50, 40, 10), (16, 16, 20))
    found = LandmarksFromMasks().landmarks_of(
        ct(soft_body()), {"lung_left": lung}, ["diaphragm_dome"], lambda d, w: None
    )
    assert found[0].name == "diaphragm_dome_left"
    assert found[0].voxel == pytest.approx((50, 40, 31), abs=2)


def test_an_end_that_the_image_cuts_off_is_not_found() -> None:
    aorta = cylinder((70, 60), 8.0)
    names = ["aortic_arch", "aortic_bifurcation"]
    assert LandmarksFromMasks().landmarks_of(ct(soft_body()), {"aorta": aorta}, names, lambda d, w: None) == ()
    aorta[..., 70:] = False
    found = LandmarksFromMasks().landmarks_of(ct(soft_body()), {"aorta": aorta}, names, lambda d, w: None)
    assert [p.name for p in found] == ["aortic_arch"]
    assert found[0].voxel[2] == pytest.approx(68.5)


def test_femoral_heads_lie_inwards() -> None:
    femur = cylinder((20, 60), 6.0, slice(5, 60)) | ellipsoid((34, 60, 70), (11, 11, 8))
    femur |= np.asarray(cylinder((27, 60), 7.0, slice(56, 66)))
    found = LandmarksFromMasks().landmarks_of(
        ct(soft_body()), {"femur_left": femur}, ["femoral_head"], lambda d, w: None
    )
    assert found[0].name == "femoral_head_left"
    assert found[0].voxel == pytest.approx((34, 60, 70), abs=3)


def run(ctx: ToolContext, **args: object) -> Points:
    valid = landmarks.validate_args({"image": "@img1", **args})
    result = landmarks(ctx, **valid)
    assert isinstance(result, Points)
    return result


def test_points_come_in_voxels_and_mm_with_a_picture(reading: MakeReading, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []

    def drawn(*given: object, title: str) -> str:
        titles.append(title)
        return overlay_png(*given, title=title)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr("tools.imaging.render.overlay_png", drawn)
    volume, airways = fork()
    ctx = reading(volume, {"airways": airways})
    result = run(ctx, targets=["carina"], mask="@mask1")
    point = result.points[0]
    assert point.position_mm == pytest.approx((156.0, 120.0, 117.0), abs=1.5)
    assert point.position_mm == pytest.approx(tuple(voxel_to_world(volume, np.array(point.voxel))), abs=0.05)
    assert "carina at (" in result.summary
    assert titles == ["img1: 1 landmark"]
    assert result.model is not None
    assert result.model.card == "landmarks-from-masks"
    assert (ctx.folder / result.figures[0]).read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_found_is_said_with_the_reason(reading: MakeReading) -> None:
    result = run(reading(chest().volume), targets=["aortic_arch"])
    assert result.points == ()
    assert result.summary == "Not found: aortic arch."
    assert any(note.startswith("Aorta: could not be outlined:") and "weights" in note for note in result.notes)


def test_structures_are_outlined_where_no_mask_is_given(reading: MakeReading) -> None:
    result = run(reading(chest().volume), targets=["lung_apex_left"])
    assert result.points[0].voxel == pytest.approx((47, 62, 75.5), abs=2)
    assert any(note.startswith("Left lung: outlined with") for note in result.notes)


def test_a_mask_of_another_image_is_refused(reading: MakeReading) -> None:
    volume, airways = fork()
    ctx = reading(volume, {"airways": airways})
    facts = ctx.workspace.facts()["mask1"].model_copy(update={"of": "img2"})
    ctx.workspace.update_facts(facts)
    with pytest.raises(BadInputError, match="belongs to img2"):
        run(ctx, targets=["carina"], mask="@mask1")


def test_an_unknown_point_is_refused_with_its_neighbours(reading: MakeReading) -> None:
    with pytest.raises(UnsupportedError, match="nearest: carina"):
        run(reading(chest().volume), targets=["carinna"])


@pytest.mark.samples
def test_the_sample_cts_points_agree_with_its_reference_labels(sample: SampleGetter) -> None:
    """Lung apices of our outlines against those of the reference lobes; the right dome against the liver's top."""
    volume = read_image(sample("chest-ct", "cxr.nii.gz"))
    labels = read_image(sample("chest-ct", "mask.nii.gz")).array
    hub = Hub.installed()
    lungs = ("lung_left", "lung_right")
    ours = dict(hub.runtime(hub.get("ct-chest-threshold")).segment(volume, lungs, lambda done, what: None).masks)
    theirs = {"lung_left": np.isin(labels, (10, 11)), "lung_right": np.isin(labels, (12, 13, 14))}
    names = ["lung_apices", "diaphragm_dome_right"]
    found, reference = (
        {p.name: voxel_to_world(volume, np.array(p.voxel)) for p in points}
        for points in (
            LandmarksFromMasks().landmarks_of(volume, masks, names, lambda done, what: None) for masks in (ours, theirs)
        )
    )
    for side in ("left", "right"):
        assert np.linalg.norm(found[f"lung_apex_{side}"] - reference[f"lung_apex_{side}"]) < 3
    liver = voxel_to_world(volume, np.argwhere(labels == 5))
    assert found["diaphragm_dome_right"][2] == pytest.approx(liver[:, 2].max(), abs=10)
