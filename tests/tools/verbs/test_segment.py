from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.phantoms_ct import chest, dice
from tools.contract import ToolContext
from tools.errors import BadInputError, CancelledError, NotFoundError, UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import BoolArray, Volume
from tools.models.card import ModelCard, Weights
from tools.models.hub import Hub
from tools.models.runtimes.base import Progress, Segmentation
from tools.preconditions import check_call
from tools.results import Masks
from tools.verbs.segment import segment
from tools.workspace import Workspace

MakeReading = Callable[..., ToolContext]


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    """Make a reading with one image and a context to run segment in."""

    def make(volume: Volume, hub: Hub | None = None, **facts: object) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        write_nifti(tmp_path / "img.nii.gz", np.asarray(volume.array), volume)
        known = {"modality": "CT", "modality_source": "voxel values", "body_part": "CHEST", "dims": 3} | facts
        workspace.add_attachment(tmp_path / "img.nii.gz", AttachmentFacts.model_validate({"id": "img1"} | known))
        return ToolContext(
            workspace=workspace,
            step_id="s1",
            hub=hub or Hub.installed(),
            open_knowledge=_never,
            open_llm=_never,
        )

    return make


def _never() -> None:
    raise AssertionError("segment needs neither reports nor a language model")


def run(ctx: ToolContext, targets: Sequence[str], image: str = "img1") -> Masks:
    result = segment(ctx, image=image, targets=list(targets))
    assert isinstance(result, Masks)
    return result


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRP"])
def test_masks_lie_on_the_images_own_voxels(reading: MakeReading, codes: str) -> None:
    phantom = chest()
    ctx = reading(to_orientation(phantom.volume, codes))
    result = run(ctx, ["left lung", "lungs"])
    assert [m.target for m in result.masks] == ["lung_left", "lungs"]
    image = nib.load(ctx.workspace.attachment_path("img1"))
    stored = nib.load(ctx.folder / "lung_left.nii.gz")
    assert stored.get_data_dtype() == np.uint8
    assert np.array_equal(stored.affine, image.affine)
    upright = nib.as_closest_canonical(stored)
    found = np.asarray(upright.dataobj) > 0
    assert dice(found, phantom.left) > 0.98
    assert result.masks[0].voxels == np.count_nonzero(found)


def test_the_result_names_model_reason_limits_and_key_image(reading: MakeReading) -> None:
    ctx = reading(chest().volume)
    result = run(ctx, ["lungs"])
    assert result.summary == "Outlined lungs with Hounsfield thresholds and shape (chest CT)."
    assert result.model is not None
    assert (result.model.card, result.model.device, result.model.weights_sha256) == ("ct-chest-threshold", "cpu", "")
    assert result.model.reason
    assert any("Consolidated lung" in note for note in result.notes)
    assert not any(note.startswith("Bones:") for note in result.notes)
    assert result.figures == ("key-image.png",)
    assert (ctx.folder / "key-image.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_there_is_reported_as_not_found(reading: MakeReading) -> None:
    phantom = chest()
    array = np.array(phantom.volume.array)
    array[phantom.left] = 40
    result = run(reading(replace(phantom.volume, array=array)), ["lung_left", "lung_right"])
    assert result.masks[0].voxels == 0
    assert "Outlined right lung" in result.summary
    assert "Looked for left lung" in result.summary
    assert "found nothing" in result.summary


@pytest.mark.parametrize(
    ("facts", "targets", "error", "reason"),
    [
        ({"modality": "US"}, ["lungs"], UnsupportedError, "img1 is US, CT is needed"),
        ({"body_part": "HEAD"}, ["lungs"], UnsupportedError, "img1 shows HEAD"),
        ({"modality": ""}, ["lungs"], UnsupportedError, "does not say its modality"),
        ({}, ["kidny"], BadInputError, "'kidny'; nearest: kidney_left"),
        ({}, ["uterus"], UnsupportedError, "can segment 'uterus'"),
    ],
)
def test_the_guard_and_the_tool_refuse_alike(
    reading: MakeReading, facts: Mapping[str, str], targets: list[str], error: type[Exception], reason: str
) -> None:
    ctx = reading(chest().volume, **facts)
    with pytest.raises(error, match=reason):
        check_call(segment, {"image": "img1", "targets": targets}, ctx.workspace.facts(), ctx.hub)
    with pytest.raises(error, match=reason):
        run(ctx, targets)
    assert not list(ctx.folder.iterdir())


def test_an_unknown_image_and_an_empty_list_are_refused(reading: MakeReading) -> None:
    ctx = reading(chest().volume)
    with pytest.raises(NotFoundError, match="img9"):
        run(ctx, ["lungs"], image="img9")
    with pytest.raises(BadInputError, match="targets"):
        segment.validate_args({"image": "@img1", "targets": []})


def test_missing_weights_say_what_to_do(reading: MakeReading) -> None:
    hub = Hub([_card(weights=Weights(file="organs.pt", get="ask its publisher"))])
    with pytest.raises(UnavailableError, match="ask its publisher"):
        run(reading(chest().volume, hub), ["liver"])


def test_cancelling_stops_between_parts(reading: MakeReading) -> None:
    ctx = replace(reading(chest().volume), is_cancelled=lambda: True)
    with pytest.raises(CancelledError):
        run(ctx, ["lungs"])


def test_progress_rises_to_the_end(reading: MakeReading) -> None:
    seen: list[float] = []
    run(replace(reading(chest().volume), on_progress=lambda done, what: seen.append(done)), ["lungs", "body"])
    assert seen == sorted(seen)
    assert len(seen) >= 5
    assert seen[-1] > 0.9


class WrongShape:
    """A runtime of somebody else with a bug."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        mask: BoolArray = np.zeros((2, 2, 2), bool)
        return Segmentation(dict.fromkeys(targets, mask))


def test_a_runtime_that_returns_another_shape_is_a_bug(reading: MakeReading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.models.runtimes.hu_threshold.load", lambda loading: WrongShape())
    with pytest.raises(TypeError, match="expected bool"):
        run(reading(chest().volume, Hub([_card()])), ["liver"])


def _card(**fields: object) -> ModelCard:
    given = {"name": "organs", "title": "Organs", "verb": "segment", "runtime": "hu_threshold", "version": "1"}
    more = {"targets": ("liver",), "modality": ("CT",), "requires": "it is CT", "seconds": 1, "licence": "MIT"}
    return ModelCard.model_validate(given | more | {"source": "test"} | fields)


def test_a_four_dimensional_file_is_refused(reading: MakeReading) -> None:
    ctx = reading(chest().volume)
    series = nib.Nifti1Image(np.zeros((20, 20, 20, 3), np.int16), np.eye(4))
    nib.save(series, ctx.workspace.attachment_path("img1"))
    with pytest.raises(UnsupportedError, match="4-D with 3 volumes"):
        run(ctx, ["lungs"])


def test_voxels_that_are_not_numbers_are_refused(reading: MakeReading) -> None:
    ctx = reading(chest().volume)
    array = np.array(chest().volume.array, dtype=np.float32)
    array[1, 1, 1] = np.nan
    nib.save(nib.Nifti1Image(array, chest().volume.affine_ras), ctx.workspace.attachment_path("img1"))
    with pytest.raises(BadInputError, match="not numbers"):
        run(ctx, ["lungs"])
