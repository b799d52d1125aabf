"""Each sentence points at the slice, point, box or report span where its evidence is to be seen."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from tests.phantoms import oblique_affine
from tests.tools.measuring.conftest import context
from tools.claims import claims_of
from tools.grounding import evidence_in, problem_with
from tools.imaging.geometry import to_orientation
from tools.imaging.volume import Volume
from tools.imaging.whereabouts import region_of
from tools.places import Place, Region, Span
from tools.results import Box, Boxes, Claim, Hits, Measurements, Point, Points, ReportHit
from tools.sources import sources_of
from tools.verbs.measure import measure
from tools.workspace import Artifact, Provenance

SHAPE = (12, 10, 9)


def lesion() -> np.ndarray:
    """Small below, largest at k = 5, so that the best slice is no accident."""
    inside = np.zeros(SHAPE, bool)
    inside[7, 2, 3:8] = True
    inside[5:10, 1:6, 5] = True
    return inside


def on_grid(affine: np.ndarray, spacing: str | None = "PixelSpacing") -> Volume:
    return Volume(np.zeros(SHAPE, np.int16), affine, spacing, "CT", units="HU")


def kept(step: str, result) -> Artifact:
    made = Provenance(tool="x", tool_version="0", params={}, inputs=("img1",))
    data = result.model_dump(mode="json")
    return Artifact(id=step, kind=result.kind, summary=result.summary, data=data, files=result.files, provenance=made)


@pytest.mark.parametrize("codes", ["".join(c) for c in itertools.product("LR", "PA", "IS")] + ["SPL", "IRA", "AIL"])
def test_the_best_slice_and_its_point_are_the_same_in_every_orientation(codes) -> None:
    upright = on_grid(oblique_affine())
    turned = to_orientation(upright, codes)
    inside = to_orientation(upright.with_array(lesion().astype(np.int16), units=""), codes).array > 0
    first = region_of(lesion(), upright, Region(image="img1"))
    second = region_of(inside, turned, Region(image="img1"))
    assert first is not None
    assert second is not None
    assert inside[tuple(int(v) for v in second.voxel)]
    assert second.slice_index == second.voxel[second.axis]
    assert (second.plane, second.slice_number, second.slice_count) == ("axial", 6, 9)  # from feet to head
    assert np.allclose(first.position_mm, second.position_mm, atol=1e-2)
    assert np.allclose(first.lower_mm, second.lower_mm, atol=1e-2)
    assert np.allclose(first.upper_mm, second.upper_mm, atol=1e-2)


def test_a_place_without_spacing_has_no_millimetres() -> None:
    region = region_of(lesion(), on_grid(np.eye(4), spacing=None), Region(image="img1"))
    assert region.position_mm is None
    assert region.lower_mm is None
    assert region.voxel == (7.0, 3.0, 5.0)
    assert "mm" not in region.words
    assert region_of(np.zeros(SHAPE, bool), on_grid(np.eye(4)), Region(image="img1")) is None


def test_a_film_has_a_point_and_no_slice() -> None:
    volume = Volume(np.zeros((20, 30, 1), np.int16), np.eye(4), "PixelSpacing", "DX")
    inside = np.zeros((20, 30, 1), bool)
    inside[3:8, 10:20] = True
    region = region_of(inside, volume, Region(image="img1"))
    assert region.slice_number is None
    assert (region.lower, region.upper) == ((3.0, 10.0, 0.0), (7.0, 19.0, 0.0))
    assert inside[tuple(int(v) for v in region.voxel)]


def test_the_point_lies_inside_a_structure_of_two_parts() -> None:
    inside = np.zeros(SHAPE, bool)
    inside[0:3, 3:8, 4] = True
    inside[9:12, 3:8, 4] = True  # the middle of both lies between them
    region = region_of(inside, on_grid(np.eye(4)), Region(image="img1"))
    assert inside[tuple(int(v) for v in region.voxel)]


def test_a_measurement_says_where_and_a_diameter_names_its_own_slice(tmp_path) -> None:
    tall = lesion()
    tall[0:12, 8, 2] = True  # longer, but on a slice that shows less of it; it touches nothing
    tall[7, 2:9, 2] = True
    tall[7, 2, 2] = True
    ctx = context(tmp_path, on_grid(oblique_affine()), {"lesion": tall})
    result = measure(ctx, mask="s1", quantities=["volume", "diameter"])
    by_name = {row.quantity: row.where for row in result.rows}
    assert by_name["volume"].slice_index == 5
    assert by_name["longest_diameter"].slice_index == 2
    assert by_name["longest_diameter"].mask == "s1"
    assert tall[tuple(int(v) for v in by_name["longest_diameter"].voxel)]
    claims = claims_of(kept("s2", result))
    assert [c.where[0].region for c in claims] == [row.where for row in result.rows]
    sent = Claim.model_validate_json(claims[0].model_dump_json())
    assert sent == claims[0]  # as --json, the record and the page get it


def test_a_box_and_a_point_are_places() -> None:
    box = Box(label="nodule", score=0.8, lower=(1, 2, 3), upper=(5, 6, 3), lower_mm=(1, 2, 3), upper_mm=(5, 6, 3))
    first, second = claims_of(kept("s2", Boxes(summary="One.", image="img1", looked_for="nodule", boxes=(box,))))
    assert first.where == second.where
    region = second.where[0].region
    assert (region.voxel, region.lower, region.upper) == ((3, 4, 3), (1, 2, 3), (5, 6, 3))
    point = Point(name="carina", voxel=(4, 5, 6), position_mm=(1, 2, 3))
    (claim,) = claims_of(kept("s3", Points(summary="One point.", image="img1", points=(point,))))
    assert claim.where[0].region == Region(image="img1", target="carina", voxel=(4, 5, 6), position_mm=(1, 2, 3))


TEXT = "FINDINGS: The heart is large.\nThe lungs are clear."


def store() -> SimpleNamespace:
    return SimpleNamespace(report=lambda _: SimpleNamespace(text=TEXT, source="test"))


def quoted(start: int, end: int) -> Claim:
    hit = ReportHit(
        report_id="CXR7", section="findings", sentence=TEXT[30:50], start=start, end=end, score=1, why="said"
    )
    (claim,) = claims_of(kept("s3", Hits(summary="One.", query="lungs", hits=(hit,))))
    return claim


def test_a_quotation_points_at_its_characters(tmp_path) -> None:
    ctx = context(tmp_path, on_grid(np.eye(4)), {"lesion": lesion()})
    claim = quoted(30, 50)
    (source,) = sources_of(claim, ctx.workspace, store)
    assert source.quote == "The lungs are clear."
    assert source.kind == "stored report"
    assert "characters 30 to 50" in source.line
    assert problem_with(claim, evidence_in(ctx.workspace, store)) is None
    for start, end in ((0, 20), (30, 500)):
        problem = problem_with(quoted(start, end), evidence_in(ctx.workspace, store))
        assert "does not hold these words" in problem


def test_sources_say_what_made_them_and_what_is_gone(tmp_path) -> None:
    ctx = context(tmp_path, on_grid(oblique_affine()), {"lesion": lesion()})
    result = measure(ctx, mask="s1")
    assert isinstance(result, Measurements)
    ctx.workspace.add_artifact(kept("s2", result))
    claim = claims_of(kept("s2", result))[0]
    (source,) = sources_of(claim, ctx.workspace)
    assert (source.kind, source.of, source.image) == ("result", "measurements", "img1")
    assert "axial slice 6 of 9" in source.line
    assert source.figures == ("artifacts/s2/histogram.png",)
    (ctx.workspace.root / "artifacts/s2/artifact.json").unlink()
    (gone,) = sources_of(claim, ctx.workspace)
    assert gone.kind == "missing"


def test_a_place_belongs_to_what_is_cited() -> None:
    region = Region(image="img1")
    with pytest.raises(ValidationError, match="must name evidence that is cited"):
        Claim(text="x", evidence=("s1",), kind="described", where=(Place(evidence="s2", region=region),))
    with pytest.raises(ValidationError, match="either a region"):
        Place(evidence="s1")
    with pytest.raises(ValidationError, match="greater than start"):
        Span(report="r", start=3, end=3)


def test_a_claim_that_points_at_a_lost_image_is_held_back(tmp_path) -> None:
    ctx = context(tmp_path, on_grid(np.eye(4)), {"lesion": lesion()})
    ctx.workspace.add_artifact(kept("s2", measure(ctx, mask="s1")))
    claim = claims_of(ctx.workspace.artifact("s2"))[0]
    look_up = evidence_in(ctx.workspace, store)
    assert problem_with(claim, look_up) is None
    lost = claim.model_copy(update={"where": (Place(evidence="s2", region=Region(image="img9")),)})
    assert "'img9', which does not exist" in problem_with(lost, look_up)
