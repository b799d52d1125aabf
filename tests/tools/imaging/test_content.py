"""What pixels say an image is: made pictures, the real film, and films made from the sample CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tools.facts import AttachmentFacts, Requires
from tools.imaging.content import FILM_UNLIKE, chest_likeness, ct_region, look_at
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import Volume
from tools.testing import chest_phantom

FILM = Requires(modality=("CR", "DX"), body_part=("CHEST",), view=("PA", "AP"), reason="it was trained on films")


def picture(array: np.ndarray, **given: object) -> Volume:
    return Volume(array.swapaxes(0, 1)[:, :, None], PICTURE_AFFINE, **given)


def drawn_film(size: int = 256) -> np.ndarray:
    """A crude frontal film of our own, not the one that the guard compares with."""
    row, column = (np.mgrid[0:size, 0:size] + 0.5) / size
    film = 140 + 20 * np.sin(row * 60)
    film[((column - 0.27) / 0.16) ** 2 + ((row - 0.42) / 0.3) ** 2 < 1] = 40
    film[((column - 0.74) / 0.15) ** 2 + ((row - 0.44) / 0.31) ** 2 < 1] = 50
    film[row > 0.8] = 220
    film[abs(column - 0.5) < 0.06] = 210
    return (film + np.random.default_rng(0).normal(0, 8, film.shape)).clip(0, 255).astype(np.uint8)


def facts(volume: Volume, modality: str, *, header: bool = False) -> AttachmentFacts:
    seen = look_at(volume, modality, from_header=header)
    return AttachmentFacts(
        id="img1", modality=modality, dims=volume.dims, looks=seen.looks, looks_why=seen.why, doubts=seen.doubts
    )


def test_a_film_passes_without_a_word() -> None:
    given = facts(picture(drawn_film()), "CR")
    assert (given.looks, given.doubts) == ("", ())
    assert FILM.refusal(given) is None


@pytest.mark.parametrize(
    ("change", "looks", "said"),
    [
        (lambda film: np.stack([film, film, film // 2], -1), "colour", "is a colour picture .* radiographs are gray"),
        (lambda film: (film > 128).astype(np.uint8) * 255, "drawing", "is a drawing or text"),
        (lambda film: np.full_like(film, 9), "blank", r"is blank \(every pixel has the value 9\)"),
        (np.rot90, "no chest film", "does not look like a frontal chest film"),
        (
            lambda film: np.random.default_rng(1).integers(0, 255, film.shape).astype(np.uint8),
            "texture",
            "shows no body",
        ),
    ],
)
def test_what_is_no_film_is_refused_with_the_reason_and_the_fix(change, looks: str, said: str) -> None:
    given = facts(picture(change(drawn_film())), "CR")
    assert given.looks == looks
    refused = FILM.refusal(given)
    assert refused is not None
    assert refused.startswith("img1 ")
    assert "Attach the" in refused
    import re

    assert re.search(said, refused)


def test_pixels_never_overrule_a_header() -> None:
    turned = picture(np.ascontiguousarray(np.rot90(drawn_film())))
    given = facts(turned, "DX", header=True)
    assert given.looks == ""
    assert FILM.refusal(given) is None
    assert len(given.doubts) == 1
    assert given.doubts[0].startswith("The header says DX, but its pixels do not: ")


def test_an_inverted_film_passes_with_a_doubt() -> None:
    given = facts(picture(255 - drawn_film()), "CR")
    assert given.looks == ""
    assert "seems to be inverted" in given.doubts[0]


@pytest.mark.parametrize(
    ("view", "refused"),
    [("PA", False), ("AP PORTABLE", False), ("", False), ("LL", True), ("LATERAL", True), ("RL", True)],
)
def test_a_lateral_film_is_not_frontal(view: str, refused: bool) -> None:
    said = FILM.refusal(AttachmentFacts(id="img1", modality="DX", body_part="CHEST", dims=2, view=view))
    assert (said is not None) == refused
    if said:
        assert said == f"img1 is a {view} view, PA or AP is needed: it was trained on films"


def ct(array: np.ndarray, **given: object) -> Volume:
    return Volume(array, np.diag([3.0, 3.0, 5.0, 1.0]), spacing_source="NIfTI header", units="HU", **given)


def head_phantom() -> np.ndarray:
    """int16 HU: an ellipse of brain (35 HU) in a ring of bone (900 HU) in air."""
    i, j, k = np.ogrid[0:80, 0:90, 0:30]
    radius = ((i - 40) / 27) ** 2 + ((j - 45) / 32) ** 2 + 0 * k
    return np.where(radius < 0.8, 35, np.where(radius < 1, 900, -1000)).astype(np.int16)


CHEST = Requires(modality=("CT",), body_part=("CHEST",), reason="it works on the chest")
HEAD = Requires(modality=("CT",), body_part=("HEAD",), reason="it works on the head")


def test_a_head_is_not_a_chest_and_a_chest_is_not_a_head() -> None:
    chest, head = facts(ct(chest_phantom()[0]), "CT"), facts(ct(head_phantom()), "CT")
    assert (chest.looks, head.looks) == ("chest CT", "head CT")
    assert CHEST.refusal(chest) is None
    assert HEAD.refusal(head) is None
    assert "looks like the CT of a head" in str(CHEST.refusal(head))
    assert "looks like the CT of a chest" in str(HEAD.refusal(chest))
    assert Requires(modality=("CT",), reason="x").refusal(head) is None
    assert Requires(modality=("CT",), body_part=("HEAD", "CHEST"), reason="x").refusal(head) is None


def test_a_body_part_in_the_header_stands_and_the_doubt_is_said() -> None:
    named = replace(ct(head_phantom()), body_part="CHEST")
    given = facts(named, "CT", header=True)
    assert given.looks == ""
    assert given.doubts[0].startswith("The header says CHEST, but its pixels look like a head CT: ")


def test_values_that_are_no_hounsfield_units_are_no_ct() -> None:
    bytes_only = replace(ct((chest_phantom()[0] // 8 + 128).astype(np.int16)), units="")
    given = facts(bytes_only, "CT")
    assert given.looks == "no HU"
    assert "does not hold a CT's values (its values run from 3 to 215" in str(CHEST.refusal(given))
    assert facts(bytes_only, "CT", header=True).looks == ""
    assert facts(bytes_only, "CT", header=True).doubts[0].startswith("The header says CT, but ")


@pytest.mark.samples
def test_the_real_film_and_films_made_from_the_ct(sample) -> None:
    from scipy.ndimage import rotate

    from tools.imaging.read import read_image

    film = read_image(sample("dicom-samples", "RG1.dcm"))
    assert chest_likeness(film.array[:, :, 0].T).film > 0.7
    scan = read_image(sample("chest-ct", "cxr.nii.gz"))
    assert ct_region(replace(scan, units="HU"))[0] == "chest CT"
    density = np.clip(scan.array[::2, ::2].astype(np.float32) + 1000, 0, None)
    frontal, lateral = (np.log1p(density.mean(axis)).T[::-1] for axis in (1, 0))
    assert chest_likeness(frontal).film > 0.7
    assert chest_likeness(rotate(frontal, 14, reshape=False)).film > 0.6
    assert chest_likeness(frontal.max() - frontal).negative > 0.7
    assert chest_likeness(lateral).film < FILM_UNLIKE
