from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.phantoms_ct import chest, dice
from tools.claims import claims_of
from tools.contract import ToolContext
from tools.errors import BadInputError, CancelledError, NotFoundError, UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import BoolArray, Volume
from tools.models.card import ModelCard, Weights
from tools.models.hub import Hub
from tools.models.runtimes.base import Progress, Prompt, Segmentation
from tools.preconditions import check_call
from tools.results import Image, Masks
from tools.verbs.segment import segment
from tools.workspace import Artifact, Provenance, Workspace

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


def test_what_the_guard_took_as_given_stands_in_the_notes(reading: MakeReading) -> None:
    result = run(reading(chest().volume, body_part="", doubts=("img1 is called CT and may be none.",)), ["body"])
    assert "img1 is called CT and may be none." in result.notes


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


class Clicked:
    """A prompted runtime: a block of 5 voxels around the first point, or the box; remembers its prompt."""

    seen: list[Prompt] = []  # noqa: RUF012  shared on purpose: the hub makes the instance

    def segment_prompted(self, volume: Volume, prompt: Prompt, progress: Progress) -> BoolArray:
        self.seen.append(prompt)
        mask: BoolArray = np.zeros(volume.shape, bool)
        i, j, k = (round(n) for n in (prompt.points[0] if prompt.points else prompt.box[0]))  # type: ignore[index]
        mask[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = True
        return mask


@pytest.fixture
def clicking(monkeypatch: pytest.MonkeyPatch) -> Hub:
    Clicked.seen.clear()
    monkeypatch.setattr("tools.models.runtimes.deepbet.load", lambda loading: Clicked())
    points = _card(name="clicks", runtime="deepbet", targets=(), prompts=("points",), seconds=5)
    boxes = _card(name="boxes", runtime="deepbet", targets=(), prompts=("points", "box"), seconds=9)
    return Hub([points, boxes, _card()])


def prompted(ctx: ToolContext, targets: Sequence[str] = ("lesion",), **prompt: object) -> Masks:
    args = segment.validate_args({"image": "@img1", "targets": list(targets), "prompt": prompt})
    check_call(segment, args, ctx.workspace.facts(), ctx.hub)
    result = segment(ctx, **args)
    assert isinstance(result, Masks)
    return result


def test_a_click_in_voxels_and_the_same_in_mm_give_one_mask(reading: MakeReading, clicking: Hub) -> None:
    ctx = reading(to_orientation(chest().volume, "LPS"), clicking)
    volume = ctx.workspace.volume("img1")
    result = prompted(ctx, points=[[40, 50, 30]], outside=[[10, 10, 10]])
    assert result.model is not None
    assert result.model.card == "clicks"
    assert (result.masks[0].target, result.masks[0].voxels) == ("lesion", 125)
    assert any("1 point inside, 1 outside" in note for note in result.notes)
    stored = nib.load(ctx.folder / "lesion.nii.gz")
    assert np.argwhere(np.asarray(stored.dataobj)).mean(0).tolist() == [40, 50, 30]
    place = volume.affine_ras[:3, :3] @ [40, 50, 30] + volume.affine_ras[:3, 3]
    prompted(ctx, points=[place.tolist()], frame="mm")
    assert Clicked.seen[1].points[0] == pytest.approx(Clicked.seen[0].points[0])


def test_a_box_and_a_scribble_go_to_a_model_that_takes_them(reading: MakeReading, clicking: Hub) -> None:
    ctx = reading(chest().volume, clicking)
    result = prompted(ctx, box=[[60, 20, 40], [30, 70, 20]])
    assert result.model is not None
    assert result.model.card == "boxes"
    assert Clicked.seen[-1].box == ((30, 20, 20), (60, 70, 40))
    stroke = [[20 + n, 50, 30] for n in range(40)]
    prompted(ctx, scribble=stroke)
    assert 2 < len(Clicked.seen[-1].points) <= 16


@pytest.mark.parametrize(
    ("prompt", "targets", "said"),
    [
        ({"points": [[400, 5, 5]]}, ["lesion"], "outside the image of 150 × 120 × 90 voxels"),
        ({"points": [[5, 5]]}, ["lesion"], "three numbers"),
        ({"points": [[9000, 5, 5]], "frame": "mm"}, ["lesion"], r"\(mm\) lies at voxel"),
        ({"points": [[5, 5, 5]]}, ["liver", "spleen"], "one name"),
        ({}, ["lesion"], "name points, a scribble, a box or text"),
        ({"box": [[5, 5, 5]]}, ["lesion"], "two opposite corners"),
        ({"points": [[5, 5, 5]], "where": 1}, ["lesion"], "where"),
    ],
)
def test_prompts_that_point_nowhere_are_refused(
    reading: MakeReading, clicking: Hub, prompt: dict[str, object], targets: list[str], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        prompted(reading(chest().volume, clicking), targets, **prompt)


def test_no_model_for_a_kind_of_prompt_is_said(reading: MakeReading, clicking: Hub) -> None:
    with pytest.raises(UnsupportedError, match="can segment by text together"):
        prompted(reading(chest().volume, clicking), text="the nodule")


class Everything:
    """A runtime that finds every target in the same corner."""

    def segment(self, volume: Volume, targets: Sequence[str], progress: Progress) -> Segmentation:
        mask: BoolArray = np.zeros(volume.shape, bool)
        mask[10:20, 10:20, 10:20] = True
        return Segmentation(dict.fromkeys(targets, mask), ("seen by the second model",))


def test_targets_that_no_single_model_finds_are_shared_out(
    reading: MakeReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.models.runtimes.deepbet.load", lambda loading: Everything())
    chest_card = Hub.installed().get("ct-chest-threshold")
    ctx = reading(chest().volume, Hub([chest_card, _card(name="livers", title="A liver model", runtime="deepbet")]))
    result = run(ctx, ["lungs", "liver", "body"])
    assert [(m.target, m.model and m.model.card) for m in result.masks] == [
        ("lungs", "ct-chest-threshold"), ("body", "ct-chest-threshold"), ("liver", "livers"),
    ]  # fmt: skip
    assert result.summary == (
        "Outlined lungs and body with Hounsfield thresholds and shape (chest CT). Outlined liver with A liver model."
    )
    assert "seen by the second model" in result.notes


def test_what_no_model_here_can_outline_is_left_out_and_said(reading: MakeReading) -> None:
    chest_card = Hub.installed().get("ct-chest-threshold")
    lacking = _card(name="organs", targets=("lungs", "liver"), weights=Weights(file="o.pt", get="ask its publisher"))
    ctx = reading(chest().volume, Hub([chest_card, lacking]))
    result = run(ctx, ["lungs", "liver"])
    assert [m.target for m in result.masks] == ["lungs"]
    assert result.model
    assert result.model.card == "ct-chest-threshold"
    (left,) = result.not_outlined
    assert left.target == "liver"
    assert left.lacks.startswith("organs needs weights; ")
    assert "ask its publisher" in left.lacks
    outlined, said = result.summary.split(". ", 1)
    assert outlined == "Outlined lungs with Hounsfield thresholds and shape (chest CT)"
    assert said == f"Not outlined: liver (model {left.lacks})."
    artifact = Artifact(
        id="s1", kind="mask", summary=result.summary, data=result.model_dump(mode="json"),
        provenance=Provenance(tool="segment", tool_version="1", params={}, inputs=("img1",)),
    )  # fmt: skip
    assert [(c.kind, c.text) for c in claims_of(artifact)][1:] == [("not examined", said)]


def test_nothing_is_begun_where_no_model_can_run(reading: MakeReading) -> None:
    weights = Weights(file="o.pt", get="ask its publisher")
    one, other = _card(weights=weights), _card(name="hearts", targets=("heart",), weights=weights)
    ctx = reading(chest().volume, Hub([one, other]))
    with pytest.raises(UnavailableError, match=r"liver: model organs needs weights.*; heart: model hearts needs"):
        run(ctx, ["liver", "heart"])
    assert not list(ctx.folder.iterdir())


def test_an_image_that_a_step_made_is_segmented(reading: MakeReading) -> None:
    ctx = reading(chest().volume)
    made = ctx.workspace.step_folder("s7")
    write_nifti(made / "smooth.nii.gz", np.asarray(chest().volume.array), chest().volume)
    facts = ctx.workspace.facts()["img1"].model_copy(update={"id": "s7"})
    image = Image(summary="Smoothed.", source="img1", file="smooth.nii.gz", units="HU", facts=facts)
    provenance = Provenance(tool="enhance", tool_version="1", params={}, inputs=("img1",))
    data = image.model_dump(mode="json")
    ctx.workspace.add_artifact(
        Artifact(id="s7", kind="image", summary="Smoothed.", data=data, files=("smooth.nii.gz",), provenance=provenance)
    )
    result = run(ctx, ["lungs"], image="s7")
    assert result.image == "s7"
    assert result.masks[0].voxels > 0
