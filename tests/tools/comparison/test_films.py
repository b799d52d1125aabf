"""Two films compared: a known shift is found, a new shadow shows, the ratio follows, other views are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from tests.tools.comparison.test_prior import context
from tools.claims import claims_of
from tools.comparison.films import align_films, moved_film
from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import ORIENTATION_UNKNOWN, Volume
from tools.verbs.compare import compare
from tools.workspace import Artifact, Provenance, Workspace

SIDE = 256


def disc(centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    i, j = np.ogrid[:SIDE, :SIDE]
    return np.asarray(((i - centre[0]) / radii[0]) ** 2 + ((j - centre[1]) / radii[1]) ** 2 <= 1)


RIGHT, LEFT = disc((80, 120), (36, 70)), disc((176, 120), (36, 70))


def heart(half_width: float) -> np.ndarray:
    return disc((136, 165), (half_width, 34))


def film(half_width: float = 40, shadow: bool = False, exposure: float = 1.0) -> Volume:
    """A chest film: bright body, dark lungs, a heart, ribs, a spine; 1 mm pixels. Its array is (i, j, 1)."""
    i, j = np.mgrid[:SIDE, :SIDE]
    values = np.where(disc((128, 140), (118, 120)), 700.0, 40.0)
    values[RIGHT | LEFT] = 300
    values += 60 * (np.sin(j / 6.0 + np.abs(i - 128) / 30) > 0.6) * (RIGHT | LEFT)
    values[heart(half_width)] = 800
    values[abs(i - 128) < 8] += 60
    if shadow:
        values[disc((80, 170), (16, 16))] = 720
    values = gaussian_filter(values, 1.2) + np.random.default_rng(3).normal(0, 4, values.shape)
    return Volume((values * exposure)[..., None].astype(np.float32), PICTURE_AFFINE, header=ORIENTATION_UNKNOWN)


def moved(volume: Volume, angle_deg: float = 4.0, shift: tuple[float, float] = (9.0, -7.0)) -> Volume:
    """The same film with the patient turned and shifted."""
    turn = np.radians(angle_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([SIDE, SIDE]) / 2
    offset = centre - matrix @ (centre + shift)
    array = affine_transform(volume.array[..., 0], matrix, offset=offset, order=1, mode="nearest")
    return volume.with_array(array[..., None])


def nothing(*_: object) -> None:
    pass


def test_a_turned_and_shifted_film_is_laid_on_the_other() -> None:
    plain = film()
    found = align_films(plain, moved(plain), nothing, 0)
    assert found.before < 0.9 < 0.99 < found.after
    earlier, inside = moved_film(moved(plain), plain, found)
    low, high = np.percentile(plain.array, (0.5, 99.5))
    later = np.clip((plain.array[..., 0].T - low) / (high - low), 0, 1)
    assert np.abs(later - earlier)[inside].mean() < 0.02


def test_a_new_shadow_is_what_differs_whatever_the_exposure() -> None:
    later, prior = film(shadow=True), moved(film(exposure=1.7))
    found = align_films(later, prior, nothing, 0)
    earlier, inside = moved_film(prior, later, found)
    low, high = np.percentile(later.array, (0.5, 99.5))
    change = np.where(inside, np.clip((later.array[..., 0].T - low) / (high - low), 0, 1) - earlier, 0)
    row, column = np.unravel_index(int(gaussian_filter(change, 4).argmax()), change.shape)
    assert abs(column - 80) < 10
    assert abs(row - 170) < 10


def reading(tmp_path: Path, films: tuple[Volume, Volume], views: tuple[str, str] = ("PA", "PA")) -> Workspace:
    workspace = Workspace(tmp_path / "reading")
    for number, (volume, view) in enumerate(zip(films, views, strict=True), 1):
        path = tmp_path / f"img{number}.nii.gz"
        write_nifti(path, np.asarray(volume.array), volume)
        facts = AttachmentFacts(
            id=f"img{number}", modality="CR", body_part="CHEST", dims=2, view=view, prior=number == 2
        )
        workspace.add_attachment(path, facts)
    return workspace


def outline(workspace: Workspace, tmp_path: Path, image: int, half_width: float) -> None:
    masks = {"heart": heart(half_width), "lungs": RIGHT | LEFT}
    for name, inside in masks.items():
        number = len([f for f in workspace.facts().values() if f.kind == "mask"]) + 1
        path = tmp_path / f"mask{number}.nii.gz"
        write_nifti(path, inside[..., None], workspace.volume(f"img{image}"))
        facts = AttachmentFacts(id=f"mask{number}", kind="mask", dims=2, of=f"img{image}", label=name)
        workspace.add_attachment(path, facts)


def test_the_cardiothoracic_ratio_follows_the_heart(tmp_path: Path) -> None:
    workspace = reading(tmp_path, (film(60), film(40)))
    outline(workspace, tmp_path, 1, 60)
    outline(workspace, tmp_path, 2, 40)
    ctx = context(workspace)
    made = compare(ctx, current="img1", prior="img2")
    (row,) = [r for r in made.rows if r.quantity == "cardiothoracic_ratio"]
    lungs = RIGHT | LEFT
    chest = int(np.ptp(np.flatnonzero(lungs.any(axis=1)))) + 1
    assert row.current == pytest.approx(121 / chest)
    assert row.prior == pytest.approx(81 / chest)
    assert (row.status, row.unit) == ("changed", "")
    assert (row.current_source, row.prior_source) == ("img1", "img2")
    assert made.figures == ("difference.png",)
    assert (ctx.folder / "difference.png").stat().st_size > 5000
    assert not any(r.unit in ("cm2", "mm") for r in made.rows)  # the films have no millimetres


def test_without_outlines_the_difference_is_shown_and_no_size_claimed(tmp_path: Path) -> None:
    from types import SimpleNamespace

    def no_model(*_: object) -> None:
        raise UnsupportedError("no model card serves 'segment'")

    ctx = replace(context(reading(tmp_path, (film(shadow=True), film()))), hub=SimpleNamespace(choose=no_model))
    made = compare(ctx, current="img1", prior="img2")
    assert made.rows == ()
    assert "no size was compared" in made.summary
    by = Provenance(tool="compare", tool_version="0", params={}, inputs=("img1", "img2"))
    kept = Artifact(id="s1", kind="change", summary=made.summary, data=made.model_dump(mode="json"), provenance=by)
    assert [c.text for c in claims_of(kept)] == [made.summary]


def test_films_of_two_views_are_refused(tmp_path: Path) -> None:
    ctx = context(reading(tmp_path, (film(), film()), ("PA", "LATERAL")))
    with pytest.raises(UnsupportedError, match="img1 is a PA view and img2 a LATERAL view"):
        compare(ctx, current="img1", prior="img2")


@pytest.mark.parametrize(
    ("array", "error", "said"),
    [
        (np.full((SIDE, SIDE, 1), 7.0), BadInputError, "holds the value 7.0 everywhere"),
        (np.full((SIDE, SIDE, 1), np.nan), BadInputError, "not numbers"),
        (np.ones((8, 8, 1)) * np.arange(8)[None, :, None], BadInputError, "8 × 8 pixels"),
        (np.random.default_rng(0).normal(size=(SIDE, SIDE, 1)), UnsupportedError, "nothing in it fits"),
    ],
    ids=["blank", "nan", "tiny", "noise"],
)
def test_a_film_with_nothing_to_align_is_refused(
    tmp_path: Path, array: np.ndarray, error: type[Exception], said: str
) -> None:
    other = Volume(array.astype(np.float32), PICTURE_AFFINE, header=ORIENTATION_UNKNOWN)
    with pytest.raises(error, match=said):
        compare(context(reading(tmp_path, (film(), other))), current="img1", prior="img2")
