"""Two radiographs of one view, laid on each other in their plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.registration.align import Progress, optimised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.facts import AttachmentFacts
    from tools.imaging.volume import BoolArray, Volume

FILMS = frozenset({"CR", "DX", "RG"})
"""DICOM codes of radiographs: one kind of image, whatever took it."""
MAP = "difference.png"
WORKING_PX = 384
"""Pixels along the longer edge of the copies that are optimised; a shift of one of them is about a millimetre."""
MIN_CORRELATION = 0.3
"""Two films of one view correlate above 0.7, a lateral with a frontal one below (tests/tools/comparison)."""
_LEVELS = ((8, 4.0), (4, 2.0), (2, 1.0), (1, 0.0))
_ITERATIONS = 100
_MIN_PX = 32
_STRONGEST = 0.25  # of the range of gray: a difference of so much is drawn in full colour


@dataclass(frozen=True)
class FilmAlignment:
    """How an earlier film lies on a later one."""

    transform: Any
    """SimpleITK, 2-D, from points of the later film to points of the earlier one."""
    before: float
    """Correlation of gray values as the films lie."""
    after: float
    overlap: float
    """Share of the later film that the earlier one covers."""


def require_one_view(first: AttachmentFacts, second: AttachmentFacts) -> None:
    """Refuse two films whose headers name different views."""
    views = [set(f.view.replace("_", " ").replace("-", " ").split()) for f in (first, second)]
    if all(views) and not views[0] & views[1]:
        raise UnsupportedError(
            f"prior: {first.id} is a {first.view} view and {second.id} a {second.view} view: what differs between them "
            "is the projection; attach a prior of the same view"
        )


def require_film(volume: Volume, image: str) -> None:
    """Refuse what holds no film to align."""
    if volume.is_colour:
        raise UnsupportedError(f"{image} is a colour picture: a gray film is needed; attach the original DICOM")
    if not np.isfinite(volume.array).all():
        raise BadInputError(f"{image} holds values that are not numbers (NaN or infinite): export it again")
    if volume.array.min() == volume.array.max():
        raise BadInputError(f"{image} holds the value {volume.array.flat[0]} everywhere: there is nothing to compare")
    if min(volume.shape[:2]) < _MIN_PX:
        raise BadInputError(f"{image} has {volume.shape[0]} × {volume.shape[1]} pixels: too few to align a film by")


def align_films(current: Volume, prior: Volume, progress: Progress, seed: int) -> FilmAlignment:
    """Lay an earlier film on a later one, in their plane.

    Raises:
        UnsupportedError: nothing in one fits the other.
        CancelledError: a person stopped the step.
    """
    import SimpleITK as sitk  # noqa: N813

    fixed, moving = _film(current), _film(prior)
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Similarity2DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    still = sitk.Transform(start)
    rigid = _optimised(fixed, moving, sitk.Similarity2DTransform(start), lambda f: progress(0.5 * f, "aligning"), seed)
    full = sitk.AffineTransform(2)
    full.SetCenter(rigid.GetCenter())
    full.SetMatrix(rigid.GetMatrix())
    full.SetTranslation(rigid.GetTranslation())
    affine = _optimised(fixed, moving, full, lambda f: progress(0.5 + 0.5 * f, "aligning, affine"), seed)
    scored = [(*_fit(fixed, moving, t), t) for t in (rigid, affine)]
    after, overlap, found = max(scored, key=lambda s: s[0])
    if after < MIN_CORRELATION:
        raise UnsupportedError(
            f"prior: nothing in it fits the current film (correlation {after:.2f} after alignment): attach two films "
            "of the same view of the same patient"
        )
    return FilmAlignment(found, _fit(fixed, moving, still)[0], after, overlap)


def moved_film(prior: Volume, current: Volume, found: FilmAlignment) -> tuple[NDArray[np.float32], BoolArray]:
    """Return the earlier film on the later one's pixels, its gray values fitted to it, and where it reaches.

    Films differ in exposure: gain and offset are fitted over the whole overlap, so that only what changed in shape or
    in relation to the rest is left in a difference.
    """
    import SimpleITK as sitk  # noqa: N813

    fixed, moving = _film(current, working=False), _film(prior, working=False)
    mapped = _array(sitk.Resample(moving, fixed, found.transform, sitk.sitkLinear, -1.0))
    inside = np.asarray(mapped >= 0)
    values = _array(fixed)
    pairs = mapped[inside].astype(np.float64), values[inside].astype(np.float64)  # float32 loses rank over millions
    gain, offset = np.polyfit(*pairs, 1)
    return np.where(inside, gain * mapped + offset, 0).astype(np.float32), inside


def difference_png(current: Volume, prior: Volume, found: FilmAlignment, path: Path, title: str) -> str:
    """Draw the later film, the earlier one laid on it, and what got denser or more lucent between them."""
    from tools.imaging.plots import panels_of_films_png

    earlier, inside = moved_film(prior, current, found)
    later = _array(_film(current, working=False))
    change = np.where(inside, later - earlier, 0)
    panels_of_films_png((later, earlier, change), path, strongest=_STRONGEST, title=title)
    return "the later film, the earlier one laid on it, and the difference: red brighter now, blue darker now"


def _film(volume: Volume, *, working: bool = True) -> Any:
    """Return a film as a 2-D SimpleITK image of gray values from 0 to 1; in mm, or in pixels where it has none."""
    import SimpleITK as sitk  # noqa: N813

    values = np.asarray(volume.array[:, :, 0].T, np.float32)
    low, high = np.percentile(values[::2, ::2], (0.5, 99.5))
    image = sitk.GetImageFromArray(np.clip((values - low) / max(float(high - low), 1e-6), 0, 1))
    steps = volume.spacing_mm[:2] if volume.spacing_source is not None else _unit_steps(values.shape)
    image.SetSpacing([float(s) for s in steps])
    shrink = max(1, round(max(values.shape) / WORKING_PX))
    return sitk.BinShrink(image, [shrink, shrink]) if working else image


def _unit_steps(shape: tuple[int, ...]) -> tuple[float, float]:
    """Return steps that make any film 400 units long, as a chest film has millimetres: two scans of it agree then."""
    step = 400 / max(shape)
    return step, step


def _array(image: Any) -> NDArray[np.float32]:
    import SimpleITK as sitk  # noqa: N813

    return np.asarray(sitk.GetArrayFromImage(image), np.float32)


def _optimised(fixed: Any, moving: Any, start: Any, progress: Any, seed: int) -> Any:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, 30_000 / fixed.GetNumberOfPixels()), seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, _ITERATIONS, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([factor for factor, _ in _LEVELS])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma in _LEVELS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(False)
    method.SetInitialTransform(start, inPlace=True)
    optimised(method, (fixed, moving), progress, len(_LEVELS) * _ITERATIONS)
    return start


def _fit(fixed: Any, moving: Any, transform: Any) -> tuple[float, float]:
    """Return correlation over the overlap, and the overlap."""
    import SimpleITK as sitk  # noqa: N813

    mapped = _array(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1.0))
    inside = mapped >= 0
    if np.count_nonzero(inside) < 100:
        return 0.0, 0.0
    a, b = _array(fixed)[inside], mapped[inside]
    flat = a.std() == 0 or b.std() == 0
    return 0.0 if flat else float(np.corrcoef(a, b)[0, 1]), float(inside.mean())
