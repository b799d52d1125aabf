"""Density classes, ratios, uncertainty and pictures, against phantoms and against SimpleITK on the same mask."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its own usual name

from tests.phantoms import oblique_affine
from tests.tools.measuring.conftest import Measure, rows_of
from tools.claims import claims_of
from tools.errors import BadInputError, UnsupportedError
from tools.grounding import problem_with
from tools.grounding.lookup import of_artifact
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.measuring.boundary import boundary_of
from tools.results import Measurements
from tools.workspace import Artifact, Provenance

SHAPE = (40, 36, 30)
GRID = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
ELLIPSOID = sum(((g - c) / r) ** 2 for g, c, r in zip(GRID, (20, 18, 15), (12, 9, 7), strict=True)) <= 1


def ct(values: np.ndarray | int = 0, affine: np.ndarray | None = None) -> Volume:
    array = np.full(SHAPE, values, np.int16) if isinstance(values, int) else values.astype(np.int16)
    return Volume(array, np.diag([1, 1.5, 2, 1.0]) if affine is None else affine, spacing_source="NIfTI header")


def box(*spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*s) for s in spans)] = True
    return mask


def test_volume_and_statistics_are_those_of_simpleitk(measured: Measure) -> None:
    values = np.random.default_rng(4).integers(-900, 900, SHAPE)
    affine = oblique_affine((0.8, 0.9, 2.5))
    rows = rows_of(measured(ct(values, affine), {"lesion": ELLIPSOID}, "volume", "intensity"), "lesion")
    image = sitk.GetImageFromArray(values.astype(np.int16).T)
    image.SetSpacing([float(s) for s in np.linalg.norm(affine[:3, :3], axis=0)])
    mask = sitk.GetImageFromArray(ELLIPSOID.astype(np.uint8).T)
    mask.CopyInformation(image)
    shape, stats = sitk.LabelShapeStatisticsImageFilter(), sitk.LabelStatisticsImageFilter()
    shape.Execute(mask)
    stats.Execute(image, mask)
    assert rows["volume"].value == pytest.approx(shape.GetPhysicalSize(1) / 1000, rel=1e-5)  # NIfTI keeps float32
    assert rows["mean_intensity"].value == pytest.approx(stats.GetMean(1), rel=1e-9)
    assert rows["sd_intensity"].value == pytest.approx(stats.GetSigma(1), rel=1e-3)  # sample against population
    assert (rows["min_intensity"].value, rows["max_intensity"].value) == (stats.GetMinimum(1), stats.GetMaximum(1))


def test_emphysema_index_and_aeration_classes_count_voxels(measured: Measure) -> None:
    values = np.full(SHAPE, 40)
    lung = box((5, 15), (5, 15), (5, 15))
    values[lung] = np.repeat([-1010, -950, -920, -700, -300, 20, -900, -800, -600, -600], 100)
    result = measured(ct(values), {"lungs": lung}, "hu_classes")
    rows = rows_of(result, "lungs")
    assert rows["emphysema_index"].value == pytest.approx(10)
    assert rows["overinflated_fraction"].value == pytest.approx(20)
    assert rows["aerated_fraction"].value == pytest.approx(50)
    assert rows["poorly_aerated_fraction"].value == pytest.approx(10)
    assert rows["nonaerated_fraction"].value == pytest.approx(10)
    assert {row.unit for row in result.rows} == {"%"}
    assert any("thin slices" in note for note in result.notes)
    assert "emphysema index 10 %" in result.summary


def test_fat_and_muscle_have_the_classes_of_soft_tissue(measured: Measure) -> None:
    values = np.full(SHAPE, -100)
    values[:20] = 50
    rows = rows_of(measured(ct(values), {"body": np.ones(SHAPE, bool)}, "hu_classes"), "body")
    assert (rows["fat_fraction"].value, rows["muscle_density_fraction"].value) == (50, 50)


def test_density_classes_exist_only_in_ct(measured: Measure) -> None:
    with pytest.raises(UnsupportedError, match="only CT has; img1 is MR"):
        measured(ct(), {"lungs": ELLIPSOID}, "hu_classes", modality="MR", modality_source="header")


def test_half_a_voxel_at_the_boundary_of_a_box(measured: Measure) -> None:
    rows = rows_of(measured(ct(), {"block": box((4, 14), (4, 14), (4, 14))}), "block")
    larger, smaller = 10**3 + 6 * 10**2, 8**3
    assert rows["volume"].uncertainty == pytest.approx((larger - smaller) / 4 * 3.0 / 1000)
    assert rows["volume"].uncertainty == pytest.approx(0.5 * 600 * 3.0 / 1000, rel=0.1)  # half a voxel of its surface
    assert rows["volume"].uncertainty_method == "boundary moved by half a voxel"


def test_the_mean_moves_with_the_boundary_by_what_lies_around(measured: Measure) -> None:
    values = np.full(SHAPE, -800)
    inside = box((0, 10), (10, 20), (10, 20))  # lies at the image's edge
    values[inside] = 40
    row = rows_of(measured(ct(values), {"node": inside}), "node")["mean_intensity"]
    layer = 100 + 4 * 100  # five faces: nothing lies beyond the edge
    mean_larger = (1000 * 40 + layer * -800) / (1000 + layer)
    assert row.value == 40
    assert row.uncertainty == pytest.approx((40 - mean_larger) / 2)


def test_a_flat_boundary_moves_in_its_plane() -> None:
    flat = np.zeros((9, 9, 1), bool)
    flat[2:6, 3:7] = True
    assert boundary_of(flat).half_voxel == (16 + 16 - 4) / 4


def test_a_diameter_says_between_which_ends_it_was_measured(measured: Measure) -> None:
    volume = ct()
    rows = rows_of(measured(volume, {"node": ELLIPSOID}, "diameter"), "node")
    for row in (rows["longest_diameter"], rows["perpendicular_diameter"]):
        assert row.where is not None
        assert row.where.ends is not None
        assert row.where.ends_mm is not None
        assert np.linalg.norm(np.subtract(*row.where.ends_mm)) == pytest.approx(row.value, abs=0.01)
        world = [volume.affine_ras @ (*end, 1.0) for end in row.where.ends]
        assert np.allclose(np.array(world)[:, :3], row.where.ends_mm, atol=0.01)
        assert {end[row.where.axis] for end in row.where.ends} == {float(row.where.slice_index)}


def test_diameter_uncertainty_is_half_a_voxel_at_either_end(measured: Measure) -> None:
    rows = rows_of(measured(ct(), {"node": ELLIPSOID}, "diameter"), "node")
    assert rows["longest_diameter"].uncertainty == pytest.approx(1.5)
    assert "either end" in rows["longest_diameter"].uncertainty_method


def test_left_to_right_ratio_among_many_structures(measured: Measure) -> None:
    left, right = box((0, 5), (0, 10), (0, 10)), box((20, 30), (0, 10), (0, 10))
    masks = {"lung_left": left, "lung_right": right, "liver": box((5, 15), (20, 30), (0, 5))}
    (row,) = measured(ct(), masks, "ratio").rows
    assert (row.value, row.quantity) == (0.5, "volume_ratio")
    assert row.method == "volume of lung_left ÷ volume of lung_right"
    assert row.uncertainty is not None
    assert 0 < row.uncertainty < 0.5


def film(view: str = "") -> Volume:
    header = dict(ORIENTATION_UNKNOWN) | ({"ViewPosition": view} if view else {})
    return Volume(np.zeros((100, 80, 1), np.int16), np.diag([1.0, -1, 1, 1]), header=header)


def flat(*spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((100, 80, 1), bool)
    mask[slice(*spans[0]), slice(*spans[1])] = True
    return mask


def test_cardiothoracic_ratio_of_a_film_needs_no_spacing(measured: Measure) -> None:
    heart = flat((40, 60), (40, 50)) | flat((50, 80), (50, 60))  # its borders are widest at different heights
    lungs = flat((10, 40), (10, 60)) | flat((60, 90), (10, 60)) | flat((5, 40), (60, 65))
    result = measured(film(), {"heart": heart, "lungs": lungs}, "ratio", modality="CR", modality_source="header")
    (row,) = result.rows
    assert (row.quantity, row.value, row.unit) == ("cardiothoracic_ratio", 40 / 80, "")
    assert any("does not say that it is PA" in note for note in result.notes)


def test_cardiothoracic_ratio_refuses_one_lung_and_a_heart_wider_than_the_chest(measured: Measure) -> None:
    facts = {"modality": "CR", "modality_source": "header"}
    masks = {"heart": flat((40, 70), (40, 60)), "lung_left": flat((70, 90), (10, 60))}
    with pytest.raises(BadInputError, match="needs both lungs, got lung_left"):
        measured(film(), masks, "ratio", **facts)


def test_a_heart_wider_than_the_chest_is_refused(measured: Measure) -> None:
    masks = {"heart": flat((10, 90), (40, 60)), "lungs": flat((20, 80), (10, 60))}
    with pytest.raises(BadInputError, match="wider than the chest"):
        measured(film(), masks, "ratio", modality="CR", modality_source="header")


def test_sentences_carry_the_uncertainty_and_follow_from_the_table(measured: Measure) -> None:
    result = measured(ct(), {"lungs": ELLIPSOID}, "volume", "intensity", "hu_classes")
    data = result.model_dump(mode="json")
    by = Provenance(tool="measure", tool_version="0", params={}, inputs=("s1",))
    artifact = Artifact(id="s2", kind="measurements", summary=result.summary, data=data, provenance=by)
    claims = claims_of(artifact)
    volume = next(c for c in claims if c.text.startswith("Volume of the lungs"))
    assert "(± " in volume.text
    evidence = of_artifact(artifact, {})
    for claim in claims:
        assert problem_with(claim, lambda _: evidence) is None, claim.text
    wrong = volume.model_copy(update={"text": volume.text.replace("± 1.", "± 7.")})
    assert problem_with(wrong, lambda _: evidence) is not None
    spread = volume.text.partition("± ")[2].rstrip(").")
    as_value = volume.model_copy(update={"text": f"Volume of the lungs: {spread}."})
    assert problem_with(as_value, lambda _: evidence) is not None


def test_a_table_without_uncertainty_is_still_read() -> None:
    row = {"target": "a", "quantity": "volume", "value": 1, "unit": "ml", "image": "img1", "mask": "s1"}
    old = {"summary": "One.", "rows": [row | {"spacing_source": "NIfTI header", "method": "count"}]}
    assert Measurements.model_validate(old).rows[0].uncertainty is None
