"""synthesize through the verb: marks in pixels, data and copies; refusals; several views; a generator card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from tools.contract import ToolContext
from tools.errors import BadInputError, CancelledError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import read_nifti, write_nifti
from tools.imaging.volume import Volume
from tools.models.runtimes.base import Synthesized
from tools.preconditions import check_call
from tools.projection.film import burned
from tools.results import Image, ModelUse
from tools.testing import chest_phantom
from tools.verbs import synthesize as module
from tools.verbs.synthesize import synthesize
from tools.workspace import Artifact, Provenance

MakeCtx = Callable[..., ToolContext]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIXELS", 128)


def run(ctx: ToolContext, **args: object) -> Image:
    result = synthesize(ctx, image="img1", **args)
    assert isinstance(result, Image)
    return result


def test_a_film_shows_the_lungs_dark_on_their_sides_and_is_marked(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    result = run(ctx)
    film = read_nifti(ctx.folder / result.file)
    assert film.dims == 2
    picture = film.array[:, :, 0].T.astype(float)
    rows, columns = picture.shape
    middle = picture[rows // 2 - 5 : rows // 2 + 5]
    spine = middle[:, columns // 2 - 3 : columns // 2 + 3].mean()
    right, left = middle[:, : columns // 2].min(), middle[:, columns // 2 :].min()
    assert spine > 1.5 * max(right, left)
    assert result.marks == ("synthetic",)
    assert (result.facts.modality, result.facts.dims, result.facts.has_spacing) == ("DX", 2, False)
    assert film.spacing_source is None
    assert "SyntheticNote" in film.header
    assert nib.load(ctx.folder / result.file).header["intent_name"].item() == b"SYNTHETIC"
    _, lungs = chest_phantom()
    larger_on_the_left = lungs[55:].sum() > lungs[:55].sum()  # x grows to the right; films show it on the left
    dark = middle < 0.6 * spine
    assert larger_on_the_left == bool(dark[:, : columns // 2].sum() > dark[:, columns // 2 :].sum())


def test_the_mark_is_in_the_pixels_and_copies_keep_it(make_ctx: MakeCtx, tmp_path: Path) -> None:
    ctx = make_ctx()
    result = run(ctx)
    by = Provenance(tool="synthesize", tool_version="0", params={}, inputs=("img1",))
    ctx.workspace.add_artifact(
        Artifact(
            id=ctx.step_id, kind="image", summary=result.summary, data=result.model_dump(mode="json"),
            files=result.files, marks=result.marks, provenance=by,
        )
    )  # fmt: skip
    volume = ctx.workspace.volume(ctx.step_id)
    letters = volume.array[:, :, 0].T
    top = letters[: letters.shape[0] // 5, : letters.shape[1] // 2]
    assert (top == volume.array.max()).sum() > 30
    write_nifti(tmp_path / "copy.nii.gz", np.asarray(volume.array), volume)
    assert "SyntheticNote" in read_nifti(tmp_path / "copy.nii.gz").header


def test_burning_changes_only_the_top_and_every_slice() -> None:
    array = np.zeros((90, 60, 3), np.int16)
    marked = burned(array)
    assert (marked[:, 30:] == 0).all()
    assert all((marked[:, :30, k] == 1).sum() > 20 for k in range(3))
    assert not array.any()


def test_several_rotations_give_several_films_and_one_picture(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    result = run(ctx, rotations_deg=[0, 90, 180])
    films = [read_nifti(ctx.folder / f).array for f in result.files if f.endswith(".nii.gz")]
    assert len(films) == 3
    assert not np.array_equal(films[0], films[1])
    assert any("0, 90, 180" in note for note in result.notes)
    assert "3 synthetic radiographs" in result.summary


def test_bad_angles_and_other_modalities_are_refused(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    with pytest.raises(BadInputError, match="rotations_deg"):
        run(ctx, rotations_deg=[float("nan")])
    facts = {"img1": AttachmentFacts(id="img1", modality="MR", dims=3)}
    args = synthesize.validate_args({"image": "@img1"})
    with pytest.raises(UnsupportedError, match="img1 is MR, CT is needed: X-rays are simulated from Hounsfield units"):
        check_call(synthesize, args, facts, None)
    ctx.workspace.update_facts(ctx.workspace.facts()["img1"].model_copy(update={"dims": 2}))
    with pytest.raises(UnsupportedError, match="img1 is 2-D, 3-D is needed"):
        run(ctx)


def test_cancelling_stops_between_rays(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    told: list[float] = []
    object.__setattr__(ctx, "on_progress", lambda fraction, _: told.append(fraction))
    object.__setattr__(ctx, "is_cancelled", lambda: len(told) > 2)
    with pytest.raises(CancelledError):
        run(ctx, rotations_deg=list(range(20)))
    assert len(told) == 3


def test_a_generators_image_is_marked_too(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    choice = SimpleNamespace(card=SimpleNamespace(name="gen", title="A generator", limits_for=lambda _: ("Limit.",)))
    model = ModelUse(card="gen", runtime="test", version="1")

    def use(chosen: object, work: Callable[[object], object]) -> SimpleNamespace:
        assert chosen is choice
        runtime = SimpleNamespace(
            synthesize=lambda source, parameters, progress: replace(source, array=np.zeros_like(source.array))
        )
        return SimpleNamespace(value=work(runtime), model=model, notes=())

    object.__setattr__(ctx, "hub", SimpleNamespace(choose=lambda verb, facts: choice, use=use, cards=()))
    result = run(ctx, output="by_model")
    made = read_nifti(ctx.folder / result.file)
    assert result.marks == ("synthetic",)
    assert made.array.any()  # all that is not black is the mark
    assert "SyntheticNote" in made.header
    assert result.model == model
    assert result.facts.modality_source == "synthetic"


def test_an_image_from_noise_comes_with_its_labels(make_ctx: MakeCtx) -> None:
    ctx = make_ctx()
    choice = SimpleNamespace(card=SimpleNamespace(name="gen", title="A generator", limits_for=lambda _: ()))
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[4:9, 4:9, 4:9] = 1
    image = Volume(
        np.full(labels.shape, -1000, np.int16) + 1040 * (labels > 0),
        np.diag([2.0, 2.0, 3.0, 1.0]),
        spacing_source="NIfTI header",
        modality="CT",
        units="HU",
    )

    def use(chosen: object, work: Callable[[object], object]) -> SimpleNamespace:
        def synthesize(source: object, parameters: object, progress: object) -> Synthesized:
            assert source is None
            return Synthesized(image, labels, {1: "liver"}, ("A note.",))

        model = ModelUse(card="gen", runtime="test", version="1")
        return SimpleNamespace(value=work(SimpleNamespace(synthesize=synthesize)), model=model, notes=())

    object.__setattr__(ctx, "hub", SimpleNamespace(choose=lambda verb, facts: choice, use=use, cards=()))
    result = synthesize(ctx, **synthesize.validate_args({"output": "by_model"}))
    assert isinstance(result, Image)
    assert result.marks == ("synthetic",)
    assert "made from noise" in result.summary
    assert "A note." in result.notes
    assert any("labels.nii.gz" in note and "1 liver" in note for note in result.notes)
    written = read_nifti(ctx.folder / "labels.nii.gz")
    assert np.array_equal(written.array, labels)
    assert np.allclose(written.affine_ras, image.affine_ras)
    assert "SyntheticNote" in written.header


def test_a_radiograph_of_nothing_is_refused(make_ctx: MakeCtx) -> None:
    with pytest.raises(BadInputError, match="projected from a CT: attach one"):
        check_call(synthesize, synthesize.validate_args({}), {}, make_ctx().hub)
