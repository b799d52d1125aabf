"""What an image is by its pixels, so that a photograph is not scored as a chest film and a head not as a chest.

Measured, not guessed: each finding says what was counted. Only what is beyond doubt refuses; what is not is let pass
and said. A header is never overruled: where pixels speak against it, that is a doubt. docs/guard.md has the table of
right and wrong refusals that these thresholds give.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tools.facts import Looks
from tools.imaging.volume import AnyArray, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOUR_STEP = 25  # of 255 between channels: compression leaves less on gray pictures
COLOUR_SHARE = 0.01
FLAT_SHARE = 0.9  # of pixels in eight gray levels: text, charts, silhouettes; the film most collimated here has 0.59
TEXTURE_SHARE = 0.3  # of variance left in a 16 × 16 picture: brick and grass have 0.1, films and photographs over 0.5
FILM_LIKE, FILM_UNLIKE = 0.6, 0.48  # correlation with a drawn frontal film: real 0.77, its worst crop 0.51; rocket 0.46
ONE_LUNG = 0.70  # the same with one lung drawn white: a real film with one 0.76, the likest of 10 photographs 0.68
TURNS = (-16, -8, 0, 8, 16)  # degrees: patients are seldom straight on the detector
HEAD_BONE, HEAD_AIR, HEAD_AREA_CM2 = 0.08, 0.10, 420.0  # of the body's outline; the widest adult heads are 330 cm²
CHEST_AIR = 0.15
BORDER_SPREAD = 0.04  # of the gray scale within a row, below which it is border
RADIOGRAPHS = ("CR", "DX")
_CHESTS = ("CHEST", "THORAX", "LUNG")
_HEADS = ("HEAD", "BRAIN", "SKULL")


class Look(NamedTuple):
    """What pixels show."""

    looks: Looks = ""
    why: str = ""
    doubts: tuple[str, ...] = ()


def look_at(volume: Volume, modality: str, *, from_header: bool) -> Look:
    """Say what an image is by its pixels.

    Args:
        volume: as read from the file.
        modality: DICOM code by header, voxel values or the person's word; empty: unknown.
        from_header: whether a header names the modality: it is then believed, and contradictions are doubts.
    """
    sample = volume.array[:, :, volume.shape[2] // 2]
    if volume.dims == 2 and sample.min() == sample.max():
        return Look("blank", f"every pixel has the value {float(sample.flat[0]):g}")
    if modality == "CT":
        return _look_at_ct(volume, from_header)
    if volume.dims == 2 and modality not in ("US", "NM", "PT", "OT", "SC", "XC", "MR"):
        found = _look_at_picture(sample.swapaxes(0, 1))
        is_film = modality in RADIOGRAPHS or not modality
        if not from_header or not found.looks:
            return found if is_film else Look()
        return Look(doubts=(f"The header says {modality}, but its pixels do not: {found.why}.",)) if is_film else Look()
    return Look()


class Likeness(NamedTuple):
    """How much a picture correlates with a drawn frontal chest film, −1 to 1 each."""

    film: float
    negative: float
    """Of the picture with dark and bright exchanged."""
    one_lung: float
    """With a film one of whose lungs is white."""


def chest_likeness(picture: AnyArray) -> Likeness:
    """Compare a gray picture with a drawn frontal chest film.

    The best of some turns and croppings counts, for films are seldom straight or whole.

    Args:
        picture: (rows, columns), bright bones.
    """
    from scipy.ndimage import rotate
    from skimage.transform import resize

    small = resize(_without_borders(_gray01(picture)), (64, 64), anti_aliasing=True)
    edges = [(low, high) for low in (0, 5, 10) for high in (64, 59, 54)]
    crops = []
    for angle in TURNS:
        turned = rotate(small, angle, reshape=False, order=1, mode="nearest") if angle else small
        for top, bottom in edges:
            for left, right in edges:
                crop = resize(turned[top:bottom, left:right], (32, 32), anti_aliasing=False)
                crops.append(_unit(crop))
    drawn = np.stack([_drawn_film(), _drawn_film(white="left"), _drawn_film(white="right")])
    agreed = np.stack(crops) @ drawn.T
    return Likeness(float(agreed[:, 0].max()), -float(agreed[:, 0].min()), float(agreed[:, 1:].max()))


def _look_at_picture(picture: AnyArray) -> Look:
    """Look at a picture that should be, or could be, a radiograph: (rows, columns) or (rows, columns, 3)."""
    if picture.ndim == 3:
        apart = picture.max(-1).astype(np.int16) - picture.min(-1)
        share = float((apart > COLOUR_STEP).mean())
        if share > COLOUR_SHARE:
            return Look("colour", f"{share:.0%} of its pixels are coloured, and radiographs are gray")
        picture = picture.mean(-1)
    gray = _gray01(picture)
    levels = np.sort(np.bincount((gray * 255).astype(np.uint8).ravel(), minlength=256))[::-1] / gray.size
    if (flat := float(levels[:8].sum())) >= FLAT_SHARE:
        return Look("drawing", f"{flat:.0%} of its pixels have one of eight gray levels, as text and drawings do")
    return _film_or_not(gray)


def _film_or_not(gray: AnyArray) -> Look:
    like = chest_likeness(gray)
    if like.film >= FILM_LIKE:
        return Look()
    coarse = _coarse_share(gray)
    if coarse < TEXTURE_SHARE:
        return Look("texture", f"{coarse:.0%} of its contrast lies in large structures, in films more than half does")
    if like.negative >= FILM_LIKE:
        return Look(doubts=("Its gray scale seems to be inverted: bones look dark. Scores then mean nothing.",))
    if like.film < FILM_UNLIKE and like.one_lung < ONE_LUNG:
        why = f"its bright and dark regions agree with a frontal chest film by {like.film:.2f} of 1 only"
        return Look("no chest film", why)
    agreed = f"agreement {like.film:.2f} of 1, {like.one_lung:.2f} with one white lung"
    return Look(doubts=(f"A simple look at its pixels leaves open whether it is a frontal chest film ({agreed}).",))


def _look_at_ct(volume: Volume, from_header: bool) -> Look:
    low, high = float(volume.array.min()), float(volume.array.max())
    if volume.units != "HU" and not _could_be_hu(low, high):
        why = (
            f"its values run from {low:g} to {high:g}, and Hounsfield units of a patient reach below −50 and above 100"
        )
        return Look(doubts=(f"The header says CT, but {why}.",)) if from_header else Look("no HU", why)
    region, why = ct_region(volume)
    if not region:
        return Look()
    if not volume.body_part:
        return Look(region, why)
    names = _HEADS if region == "head CT" else _CHESTS
    other = _CHESTS if region == "head CT" else _HEADS
    if volume.body_part in other and volume.body_part not in names:
        return Look(doubts=(f"The header says {volume.body_part}, but its pixels look like a {region}: {why}.",))
    return Look()


def _could_be_hu(low: float, high: float) -> bool:
    return low < -50 and high > 100  # fat and contrast-free soft tissue lie inside, whatever was cut out


def ct_region(volume: Volume) -> tuple[Looks, str]:
    """Say whether a CT in Hounsfield units shows a head or a chest, and what was measured; ("", "") for neither.

    Air inside the outline of the body, bone in it, and its largest cross-section are compared; where the image has no
    spacing, the cross-section is not.
    """
    from scipy.ndimage import binary_fill_holes

    step = max(1, min(volume.shape[:2]) // 128)
    planes = np.moveaxis(volume.array[::step, ::step, :: max(1, volume.shape[2] // 24)], 2, 0)
    filled = np.stack([binary_fill_holes(_largest(plane > -300)) for plane in planes])
    inside = int(filled.sum())
    if inside < 200:
        return "", ""
    air = float((filled & (planes < -400)).sum()) / inside
    bone = float((filled & (planes > 250)).sum()) / inside
    said = f"{air:.0%} of the body's outline is air and {bone:.0%} bone"
    if air >= CHEST_AIR:
        return "chest CT", said
    if bone < HEAD_BONE or air > HEAD_AIR or volume.spacing_source is None or _is_cut(filled):
        return "", ""
    area_cm2 = float(filled.sum((1, 2)).max()) * step**2 * volume.pixel_area_mm2 / 100
    return ("head CT", f"{said}, and it is {area_cm2:.0f} cm² wide") if area_cm2 < HEAD_AREA_CM2 else ("", "")


def _is_cut(filled: NDArray[np.bool_]) -> bool:
    """Say whether the body reaches far along the picture's edges: its width is then unknown."""
    widest = filled[int(filled.sum((1, 2)).argmax())]
    return bool(np.concatenate([widest[0], widest[-1], widest[:, 0], widest[:, -1]]).mean() > 0.1)


def _largest(mask: AnyArray) -> NDArray[np.bool_]:
    from scipy.ndimage import label

    parts, count = label(mask)
    if count < 2:
        return np.asarray(mask, dtype=bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def _gray01(picture: AnyArray) -> AnyArray:
    """Return float values from 0 to 1 between the 0.5th and 99.5th percentile."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def _without_borders(gray: AnyArray) -> AnyArray:
    """Cut rows and columns of one value off the edges: collimation and padding say nothing of what is shown."""
    for axis in (0, 1):
        full = np.flatnonzero(np.ptp(gray, axis=1 - axis) > BORDER_SPREAD)
        if len(full) >= 16:
            gray = np.take(gray, range(full[0], full[-1] + 1), axis)
    return gray


def _coarse_share(gray: AnyArray) -> float:
    from skimage.transform import resize

    fine = resize(gray, (128, 128), anti_aliasing=True)
    coarse = fine.reshape(16, 8, 16, 8).mean((1, 3))
    return float(coarse.var() / max(float(fine.var()), 1e-12))


def _unit(picture: AnyArray) -> AnyArray:
    """Return a picture as a vector of mean 0 and length 1, so that products are correlations."""
    centred = (picture - picture.mean()).ravel()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-12))


@cache
def _drawn_film(white: Literal["", "left", "right"] = "") -> AnyArray:
    """Draw a frontal chest film, 32 × 32: two dark lungs, or one, bright spine, heart and abdomen; as a unit vector."""
    from scipy.ndimage import gaussian_filter

    row, column = (np.mgrid[0:32, 0:32] + 0.5) / 32
    film = np.where(row < 0.12, 0.45, 0.55)
    for side, centre in (("left", 0.29), ("right", 0.71)):
        film[((column - centre) / 0.17) ** 2 + ((row - 0.45) / 0.33) ** 2 < 1] = 0.7 if side == white else 0.15
    film[abs(column - 0.5) < 0.09] = 0.8
    film[((column - 0.56) / 0.15) ** 2 + ((row - 0.62) / 0.16) ** 2 < 1] = 0.85
    film[row > 0.82] = 0.8
    return _unit(gaussian_filter(film, 1.2))
