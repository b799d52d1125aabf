"""enhance: what each operation does to phantoms of known noise, shading and grid; the original untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.phantoms import oblique_affine
from tools.contract import ToolContext
from tools.enhancing.filters import noise_of
from tools.errors import BadInputError, CancelledError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import voxel_to_world, world_to_voxel
from tools.imaging.nifti import read_nifti, write_nifti
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.preconditions import check_call
from tools.results import Image, ModelUse
from tools.verbs.enhance import enhance
from tools.workspace import Workspace

SHAPE = (48, 44, 40)
MakeReading = Callable[..., ToolContext]


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    def make(volume: Volume, **facts: object) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        write_nifti(tmp_path / "img.nii.gz", np.asarray(volume.array), volume)
        known = {"id": "img1", "modality": "MR", "modality_source": "header", "dims": volume.dims, "has_spacing": True}
        workspace.add_attachment(tmp_path / "img.nii.gz", AttachmentFacts.model_validate(known | facts))
        return ToolContext(
            workspace=workspace,
            step_id="s1",
            hub=SimpleNamespace(cards=()),
            open_knowledge=lambda: None,
            open_llm=lambda: None,
        )

    return make


def run(ctx: ToolContext, operation: str, **args: object) -> tuple[Image, Volume]:
    before = ctx.workspace.attachment_path("img1").read_bytes()
    result = enhance(ctx, image="img1", operation=operation, **args)
    assert ctx.workspace.attachment_path("img1").read_bytes() == before
    assert isinstance(result, Image)
    assert {p.name for p in ctx.folder.iterdir()} == set(result.files)
    return result, read_nifti(ctx.folder / result.file)


def ball() -> np.ndarray:
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return np.asarray(sum((g - n / 2) ** 2 for g, n in zip(grid, SHAPE, strict=True)) <= 15**2)


def noisy(sigma: float, seed: int = 0) -> tuple[Volume, np.ndarray]:
    clean = np.where(ball(), 400.0, 100.0)
    array = clean + np.random.default_rng(seed).normal(scale=sigma, size=SHAPE)
    affine = np.diag([1, 1, 1.5, 1])
    return Volume(np.rint(array).astype(np.int16), affine, spacing_source="NIfTI header", modality="MR"), clean


@pytest.mark.parametrize("method", ["curvature_diffusion", "non_local_means"])
def test_noise_falls_and_the_edge_stays(reading: MakeReading, method: str) -> None:
    volume, clean = noisy(20)
    result, found = run(reading(volume), "denoise", method=method)
    error = np.sqrt(((found.array - clean) ** 2).mean()) / np.sqrt(((volume.array - clean) ** 2).mean())
    assert error < 0.6
    inside = ball()
    assert found.array[inside].mean() - found.array[~inside].mean() > 290
    assert found.array.dtype == np.int16
    assert found.same_grid(volume)
    assert any("Noise" in note for note in result.notes)


def test_noise_is_estimated() -> None:
    volume, _ = noisy(20)
    assert noise_of(volume.array.astype(np.float32)) == pytest.approx(20, rel=0.1)
    assert noise_of(np.zeros((5, 5, 5), np.float32)) == 0


def test_n4_takes_the_shading_out(reading: MakeReading) -> None:
    volume, _ = noisy(3)
    i, j = np.ogrid[: SHAPE[0], : SHAPE[1]]
    shading = np.exp(0.6 * (i / SHAPE[0] - 0.5) + 0.4 * (j / SHAPE[1] - 0.5))[..., None]
    shaded = volume.with_array((volume.array * shading).astype(np.float32))
    inside = ball()
    before = float(shaded.array[inside].std() / shaded.array[inside].mean())
    _, found = run(reading(shaded), "bias_correction")
    after = float(found.array[inside].std() / found.array[inside].mean())
    assert before > 0.1
    assert after < 0.35 * before


def test_a_bias_field_exists_only_in_mr(reading: MakeReading) -> None:
    volume, _ = noisy(3)
    ctx = reading(volume, modality="CT")
    with pytest.raises(UnsupportedError, match="exists only in MR"):
        check_call(enhance, {"image": "img1", "operation": "bias_correction"}, ctx.workspace.facts(), ctx.hub)
    with pytest.raises(UnsupportedError, match="exists only in MR"):
        run(ctx, "bias_correction")


def test_negative_intensities_are_no_magnitude_image(reading: MakeReading) -> None:
    volume, _ = noisy(3)
    with pytest.raises(BadInputError, match="intensities of 0 and more"):
        run(reading(volume.with_array(volume.array - 500)), "bias_correction")


@pytest.mark.parametrize("spacing_mm", [2.0, 0.8, None])
def test_world_points_keep_their_values_on_a_new_grid(reading: MakeReading, spacing_mm: float | None) -> None:
    smooth = gaussian_filter(np.random.default_rng(2).normal(size=SHAPE), 5) * 4000
    volume = Volume(
        smooth.astype(np.float32), oblique_affine((1, 1.2, 1.5)), spacing_source="NIfTI header", modality="MR"
    )
    _, found = run(reading(volume), "resample", spacing_mm=spacing_mm)
    assert np.allclose(found.spacing_mm, spacing_mm or 1.0, rtol=1e-4)
    inner = np.stack(np.meshgrid(*(np.linspace(8, n - 9, 7) for n in SHAPE), indexing="ij"), -1).reshape(-1, 3)
    from scipy.ndimage import map_coordinates

    world = voxel_to_world(volume, inner)
    ours = map_coordinates(volume.array, inner.T, order=1)
    theirs = map_coordinates(found.array, world_to_voxel(found, world).T, order=1)
    assert np.abs(ours - theirs).max() < 0.06 * np.ptp(smooth)
    edges = [voxel_to_world(v, np.array(v.shape) / 2 - 0.5) for v in (volume, found)]
    assert np.allclose(*edges, atol=1e-3)  # the middle stays the middle


def test_a_single_image_is_resampled_in_its_plane(reading: MakeReading) -> None:
    flat = Volume(np.arange(600, dtype=np.int16).reshape(30, 20, 1), np.diag([2, 2, 5.0, 1]), "NIfTI header", "MR")
    _, found = run(reading(flat), "resample", spacing_mm=4.0)
    assert found.shape == (15, 10, 1)
    assert found.array[7, 5, 0] == pytest.approx(flat.array[14:16, 10:12, 0].mean(), abs=12)


def test_super_resolution_without_a_model_says_that_it_adds_nothing(reading: MakeReading) -> None:
    volume, _ = noisy(0)
    result, found = run(reading(volume), "super_resolution")
    assert found.spacing_mm == pytest.approx((0.5, 0.5, 0.5))
    assert any("adds no information" in note for note in result.notes)
    assert result.marks == ()
    assert found.array.min() >= volume.array.min()
    assert found.array.max() <= volume.array.max()


def test_super_resolution_by_a_card_is_marked_synthetic(reading: MakeReading) -> None:
    volume, _ = noisy(0)
    ctx = reading(volume)
    card = SimpleNamespace(verb="enhance", title="A network", limits_for=lambda _: ())
    choice = SimpleNamespace(card=card)

    def use(chosen: object, work: Callable[[object], object]) -> SimpleNamespace:
        fine = replace(
            volume, array=np.repeat(volume.array, 2, 0), affine_ras=volume.affine_ras @ np.diag([0.5, 1, 1, 1])
        )
        runtime = SimpleNamespace(synthesize=lambda source, parameters, progress: fine)
        return SimpleNamespace(value=work(runtime), model=ModelUse(card="n", runtime="r", version="1"), notes=())

    object.__setattr__(ctx, "hub", SimpleNamespace(cards=(card,), choose=lambda *_: choice, use=use))
    result, found = run(ctx, "super_resolution")
    assert result.marks == ("synthetic",)
    assert "SyntheticNote" in found.header
    assert found.shape == (96, 44, 40)


def test_bad_arguments_are_refused(reading: MakeReading) -> None:
    volume, _ = noisy(3)
    ctx = reading(volume)
    with pytest.raises(BadInputError, match="at most 400 million"):
        run(ctx, "resample", spacing_mm=0.01)
    with pytest.raises(BadInputError, match="denoise keeps the grid"):
        run(ctx, "denoise", spacing_mm=1.0)


def test_no_spacing_no_new_grid(reading: MakeReading) -> None:
    volume = Volume(noisy(3)[0].array, np.eye(4), header=ORIENTATION_UNKNOWN, modality="MR")
    ctx = reading(volume, has_spacing=False)
    with pytest.raises(UnsupportedError, match="no physical spacing"):
        run(ctx, "resample", spacing_mm=2.0)
    result, _ = run(ctx, "denoise")
    assert result.facts.id == "s1"


@pytest.mark.parametrize("operation", ["denoise", "bias_correction"])
def test_cancelling_stops(reading: MakeReading, operation: str) -> None:
    ctx = reading(noisy(10)[0])
    told: list[float] = []
    object.__setattr__(ctx, "on_progress", lambda fraction, _: told.append(fraction))
    object.__setattr__(ctx, "is_cancelled", lambda: len(told) > 2)
    with pytest.raises(CancelledError):
        run(ctx, operation)
    assert len(told) == 3
