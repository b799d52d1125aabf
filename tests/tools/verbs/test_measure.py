from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tools.contract import ToolContext
from tools.errors import BadInputError, NotFoundError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.results import MaskEntry, Masks, Measurement, Measurements
from tools.verbs.measure import measure
from tools.workspace import Artifact, Provenance, Workspace

SHAPE = (24, 20, 16)
BALL = sum((g - c) ** 2 for g, c in zip(np.ogrid[:24, :20, :16], (11, 9, 8), strict=True)) <= 36
CUBE = np.zeros(SHAPE, bool)
CUBE[18:22, 2:6, 3:7] = True

MakeReading = Callable[..., ToolContext]


def image(spacing: tuple[float, float, float] = (1.0, 1.5, 2.0), shape: tuple[int, int, int] = SHAPE) -> Volume:
    values = np.random.default_rng(1).integers(-900, 900, shape).astype(np.int16)
    return Volume(values, np.diag([*spacing, 1.0]), spacing_source="NIfTI header")


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    """Make a reading with an image img1 and a mask s1 on the grid of `on` (the image's own by default)."""

    def make(volume: Volume, on: Volume | None = None, **masks: np.ndarray) -> ToolContext:
        workspace = Workspace(tmp_path / f"reading{len(list(tmp_path.iterdir()))}")
        write_nifti(tmp_path / "img.nii.gz", np.asarray(volume.array), volume)
        facts = AttachmentFacts(
            id="img1", modality="CT", modality_source="voxel values", dims=volume.dims, has_spacing=True
        )
        workspace.add_attachment(tmp_path / "img.nii.gz", facts)
        entries = []
        for target, mask in masks.items():
            file = f"{target}.nii.gz"
            write_nifti(workspace.step_folder("s1") / file, mask, on or volume)
            entries.append(MaskEntry(target=target, file=file, voxels=int(mask.sum())))
        keep(workspace, Masks(summary="Masks.", image="img1", masks=tuple(entries)))
        return ToolContext(
            workspace=workspace, step_id="s2", hub=None, open_knowledge=lambda: None, open_llm=lambda: None
        )

    return make


def keep(workspace: Workspace, result: Masks) -> None:
    data = result.model_dump(mode="json")
    made_by = Provenance(tool="segment", tool_version="0", params={}, inputs=("img1",))
    workspace.add_artifact(
        Artifact(id="s1", kind="mask", summary=result.summary, data=data, files=result.files, provenance=made_by)
    )


def run(ctx: ToolContext, *quantities: str, mask: str = "s1", image: str | None = None) -> Measurements:
    result = measure(ctx, mask=mask, quantities=list(quantities) or None, image=image)
    assert isinstance(result, Measurements)
    return result


def values(result: Measurements, target: str = "ball") -> dict[str, Measurement]:
    return {row.quantity: row for row in result.rows if row.target == target}


def test_volume_and_intensity_are_the_default_and_exact(reading: MakeReading) -> None:
    volume = image()
    rows = values(run(reading(volume, ball=BALL)))
    assert rows["volume"].value == pytest.approx(np.count_nonzero(BALL) * 3.0 / 1000, rel=1e-12)
    assert (rows["volume"].unit, rows["volume"].spacing_source) == ("ml", "NIfTI header")
    inside = [int(v) for v in volume.array[BALL]]
    assert rows["mean_intensity"].value == sum(inside) / len(inside)
    assert rows["min_intensity"].value == min(inside)
    assert rows["max_intensity"].value == max(inside)
    assert rows["median_intensity"].value == np.median(inside)
    assert rows["p5_intensity"].value == np.percentile(inside, 5)
    assert rows["p95_intensity"].value == np.percentile(inside, 95)
    mean = sum(inside) / len(inside)
    assert rows["sd_intensity"].value == pytest.approx((sum((v - mean) ** 2 for v in inside) / len(inside)) ** 0.5)
    assert (rows["mean_intensity"].unit, rows["mean_intensity"].spacing_source) == ("HU", "")
    assert all((row.image, row.mask, bool(row.method)) == ("img1", "s1", True) for row in rows.values())


def test_half_the_spacing_is_an_eighth_of_the_volume(reading: MakeReading) -> None:
    full = values(run(reading(image((2, 2, 2)), ball=BALL), "volume", "surface_area", "diameter"))
    half = values(run(reading(image((1, 1, 1)), ball=BALL), "volume", "surface_area", "diameter"))
    assert full["volume"].value == pytest.approx(8 * half["volume"].value)
    assert full["surface_area"].value == pytest.approx(4 * half["surface_area"].value)
    assert full["longest_diameter"].value == pytest.approx(2 * half["longest_diameter"].value)
    assert {q: r.unit for q, r in full.items()} == {
        "volume": "ml", "surface_area": "cm2", "longest_diameter": "mm", "perpendicular_diameter": "mm",
    }  # fmt: skip


def test_a_single_image_has_an_area(reading: MakeReading) -> None:
    mask = BALL[:, :, 8:9]
    full = values(run(reading(image((2, 2, 2), (24, 20, 1)), ball=mask), "volume"))
    half = values(run(reading(image((1, 1, 1), (24, 20, 1)), ball=mask), "volume"))
    assert set(full) == {"area"}
    assert full["area"].value == pytest.approx(np.count_nonzero(mask) * 4 / 100)
    assert full["area"].value == pytest.approx(4 * half["area"].value)


def without_spacing() -> Volume:
    return Volume(image().array, np.diag([1.0, 1, 1, 1]), header=ORIENTATION_UNKNOWN)


@pytest.mark.parametrize("quantity", ["volume", "diameter", "surface_area"])
def test_no_spacing_no_millimetres(reading: MakeReading, quantity: str) -> None:
    ctx = reading(without_spacing(), ball=BALL)
    with pytest.raises(UnsupportedError, match="no physical spacing"):
        run(ctx, quantity)
    result = run(ctx, quantity, "intensity")
    assert {row.unit for row in result.rows} == {"HU"}
    assert any(f"{quantity} was not measured" in note for note in result.notes)


def test_another_grid_is_refused(reading: MakeReading) -> None:
    shifted = image()
    affine = shifted.affine_ras.copy()
    affine[0, 3] += 5
    moved = Volume(shifted.array, affine, spacing_source="NIfTI header")
    with pytest.raises(BadInputError, match="another grid"):
        run(reading(image(), on=moved, ball=BALL))


def test_an_empty_mask_is_refused_and_one_of_two_is_named(reading: MakeReading) -> None:
    nothing = np.zeros(SHAPE, bool)
    with pytest.raises(BadInputError, match="s1 is empty"):
        run(reading(image(), ball=nothing))
    result = run(reading(image(), ball=BALL, cube=nothing))
    assert {row.target for row in result.rows} == {"ball"}
    assert any(note.startswith("cube: the mask is empty") for note in result.notes)


def test_diameter_is_that_of_the_largest_piece_and_says_so(reading: MakeReading) -> None:
    result = run(reading(image(), both=BALL | CUBE), "diameter")
    rows = values(result, "both")
    assert rows["longest_diameter"].value == pytest.approx(13 * 1.5, abs=1.0)
    assert rows["perpendicular_diameter"].value == pytest.approx(13 * 1.0, abs=1.0)
    assert any("2 separate pieces" in note for note in result.notes)


def test_ratio_of_two_structures(reading: MakeReading) -> None:
    ctx = reading(without_spacing(), ball=BALL, cube=CUBE)
    (row,) = run(ctx, "ratio").rows
    assert row.value == np.count_nonzero(BALL) / np.count_nonzero(CUBE)
    assert (row.quantity, row.unit, row.method) == ("volume_ratio", "", "volume of ball ÷ volume of cube")
    with pytest.raises(BadInputError, match="exactly two"):
        run(reading(image(), ball=BALL), "ratio")


def test_an_attached_mask_is_measured_on_its_image(reading: MakeReading, tmp_path: Path) -> None:
    ctx = reading(image(), ball=BALL)
    write_nifti(tmp_path / "brought.nii.gz", CUBE, image())
    facts = AttachmentFacts(id="mask1", kind="mask", dims=3, of="img1", label="tumour")
    ctx.workspace.add_attachment(tmp_path / "brought.nii.gz", facts)
    rows = values(run(ctx, "volume", mask="mask1"), "tumour")
    assert rows["volume"].value == pytest.approx(64 * 3 / 1000)


def test_unknown_quantities_and_ids_are_refused(reading: MakeReading) -> None:
    with pytest.raises(BadInputError, match="quantities"):
        measure.validate_args({"mask": "@s1", "quantities": ["weight"]})
    with pytest.raises(NotFoundError, match="s7"):
        run(reading(image(), ball=BALL), mask="s7")
    with pytest.raises(BadInputError, match="expected a mask"):
        run(reading(image(), ball=BALL), mask="img1", image="img1")


def test_the_summary_is_one_line_with_units(reading: MakeReading) -> None:
    result = run(reading(image(), ball=BALL, cube=CUBE))
    assert result.summary.startswith("Measured: ball ")
    assert "ml, mean " in result.summary
    assert "HU; cube 0.192 ml" in result.summary
    assert "\n" not in result.summary
