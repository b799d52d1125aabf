"""Alignment by SimpleITK: rigid and affine by mutual information, deformable by demons or B-splines.

A transform maps points of the fixed image to points of the moving one, in ITK's world (LPS+ mm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tools.errors import CancelledError, UnsupportedError
from tools.registration.grid import working_copy

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["rigid", "affine", "deformable"]
Progress = Callable[[float, str], None]

WORKING_VOXELS = 500_000
"""Optimised on a copy with about so many cubic voxels: finer ones cost time and change the result by less than a tenth
of a voxel (benchmarks/registration.py)."""
BENDING_VOXELS = 4_000_000
"""Demons work on about so many: on the sample CT a bend is found to 0.67 mm, on half a million to 1.4 mm."""
BINS = 40
SAMPLES = 40_000
LEVELS = ((4, 2.0), (2, 1.0), (1, 0.0))
"""Shrink factor and blur, in working voxels."""
ITERATIONS = 120
DEMONS_LEVELS = (8, 4, 2, 1)
DEMONS_ITERATIONS = (80, 80, 60, 20)
DEMONS_SMOOTHING = 2.0
"""Sigma of the field's smoothing, in working voxels of each level."""
CONTROL_POINT_MM = 60.0
SPLINE_ITERATIONS = 25


@dataclass(frozen=True)
class Pair:
    """Two images on their working grids, float32."""

    fixed: Any
    moving: Any
    same_modality: bool
    bending: Pair | None = None
    """The same on finer voxels, which demons work on; None: these are fine enough."""

    def turned(self) -> Pair:
        """Return the pair with the images exchanged."""
        finer = self.bending.turned() if self.bending else None
        return Pair(self.moving, self.fixed, self.same_modality, finer)


def working_pair(
    fixed: Any, moving: Any, *, same_modality: bool, voxels: int = WORKING_VOXELS, bending: bool = False
) -> Pair:
    """Return both images on cubic voxels of one size, fine enough for the smaller field of view.

    Args:
        fixed: a SimpleITK image.
        moving: the other.
        same_modality: whether their gray values can be matched.
        voxels: about how many.
        bending: whether they will be bent too, which takes finer voxels.
    """
    volumes = [float(np.prod(np.array(i.GetSize()) * np.array(i.GetSpacing()))) for i in (fixed, moving)]
    finest = max(float(min(i.GetSpacing())) for i in (fixed, moving))
    spacing = max((max(volumes) / voxels) ** (1 / 3), finest)
    finer = None
    if bending and same_modality and spacing > finest:
        finer = working_pair(fixed, moving, same_modality=same_modality, voxels=max(voxels, BENDING_VOXELS))
    return Pair(working_copy(fixed, spacing), working_copy(moving, spacing), same_modality, finer)


def align(pair: Pair, kind: Kind, progress: Progress, seed: int) -> Any:
    """Return the transform from fixed to moving points.

    Args:
        pair: both images.
        kind: what may change.
        progress: told how far the work is; may raise to stop it.
        seed: of the random choice of samples.

    Raises:
        UnsupportedError: the images do not overlap, or nothing in them fits.
        CancelledError: a person stopped the step.
    """
    import SimpleITK as sitk  # noqa: N813

    share = 1.0 if kind == "rigid" else 0.6 if kind == "affine" else 0.35
    start = sitk.Euler3DTransform(_start(pair, seed))
    rigid = _linear(pair, start, lambda f: progress(share * f, "aligning, rigid"), seed)
    if kind == "rigid":
        return rigid
    full = sitk.AffineTransform(3)
    full.SetCenter(rigid.GetCenter())
    full.SetMatrix(rigid.GetMatrix())
    full.SetTranslation(rigid.GetTranslation())
    end = 1.0 if kind == "affine" else 0.5
    affine = _linear(pair, full, lambda f: progress(share + (end - share) * f, "aligning, affine"), seed)
    if kind == "affine":
        return affine
    bend = _demons if pair.same_modality else _spline
    field = bend(pair.bending or pair, affine, lambda f: progress(0.5 + 0.5 * f, "aligning, deformable"), seed)
    # Of a composite the last part is applied first: the bend in the fixed image's space, then the affine.
    return sitk.CompositeTransform([affine, field])


def _start(pair: Pair, seed: int) -> Any:
    """Return the best of three beginnings: as the headers say, centre on centre, mass on mass."""
    import SimpleITK as sitk  # noqa: N813

    centre = pair.fixed.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in pair.fixed.GetSize()])
    stays = sitk.Euler3DTransform()
    stays.SetCenter(centre)
    kinds = sitk.CenteredTransformInitializerFilter
    geometry = sitk.CenteredTransformInitializer(pair.fixed, pair.moving, sitk.Euler3DTransform(), kinds.GEOMETRY)
    fixed, moving = (sitk.Clamp(i, lowerBound=_dark(i)) - _dark(i) for i in (pair.fixed, pair.moving))
    moments = sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), kinds.MOMENTS)
    scored = []
    for number, candidate in enumerate((stays, geometry, moments)):
        method = _method(pair, seed)
        method.SetInitialTransform(sitk.Transform(candidate))
        try:
            scored.append(
                (
                    method.MetricEvaluate(
                        sitk.SmoothingRecursiveGaussian(pair.fixed, 4.0),
                        sitk.SmoothingRecursiveGaussian(pair.moving, 4.0),
                    ),
                    number,
                    candidate,
                )
            )
        except RuntimeError:  # too few samples map into the moving image
            continue
    if not scored:
        raise UnsupportedError(
            "moving: it has no overlap with fixed, neither as the headers say nor laid centre on centre"
        )
    return min(scored, key=lambda s: s[:2])[2]


def _dark(image: Any) -> float:
    import SimpleITK as sitk  # noqa: N813

    return float(np.percentile(sitk.GetArrayViewFromImage(image), 5))


def _method(pair: Pair, seed: int) -> Any:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    count = int(np.prod(pair.fixed.GetSize()))
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, SAMPLES / count), seed + 1)  # 0 would be the time of day
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _linear(pair: Pair, start: Any, progress: Callable[[float], None], seed: int) -> Any:
    method = _method(pair, seed)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0,
        minStep=1e-3,
        numberOfIterations=ITERATIONS,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([factor for factor, _ in LEVELS])
    step = float(pair.fixed.GetSpacing()[0])
    method.SetSmoothingSigmasPerLevel([sigma * step for _, sigma in LEVELS])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetInitialTransform(start, inPlace=True)
    optimised(method, (pair.fixed, pair.moving), progress, len(LEVELS) * ITERATIONS)
    return start


def _spline(pair: Pair, affine: Any, progress: Callable[[float], None], seed: int) -> Any:
    """Bend by cubic B-splines under mutual information: for two modalities."""
    import SimpleITK as sitk  # noqa: N813

    extent = np.array(pair.fixed.GetSize()) * np.array(pair.fixed.GetSpacing())
    mesh = [max(2, round(float(e) / CONTROL_POINT_MM)) for e in extent]
    bend = sitk.BSplineTransformInitializer(pair.fixed, mesh, 3)
    method = _method(pair, seed)
    method.SetMovingInitialTransform(affine)
    # LBFGS-B needs no scales: finding those of thousands of control points took most of the time
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=SPLINE_ITERATIONS)
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([2, 1])
    method.SetInitialTransform(bend, inPlace=True)
    optimised(method, (pair.fixed, pair.moving), progress, 2 * SPLINE_ITERATIONS)
    return bend


def optimised(method: Any, images: tuple[Any, Any], progress: Callable[[float], None], expected: int) -> None:
    """Run an optimiser; no exception can leave ITK, so a cancelled one is told to stop and the error raised after.

    Args:
        method: a SimpleITK registration method with its transform.
        images: fixed and moving image.
        progress: told how far the work is; may raise to stop it.
        expected: how many iterations it will take.

    Raises:
        UnsupportedError: the images hardly overlap.
        CancelledError: a person stopped the step.
    """
    import SimpleITK as sitk  # noqa: N813

    done = 0
    stopped: list[CancelledError] = []

    def watch() -> None:
        nonlocal done
        done += 1
        try:
            progress(min(0.99, done / expected))
        except CancelledError as error:
            stopped.append(error)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, watch)
    try:
        method.Execute(*images)
    except RuntimeError as error:
        if stopped:
            raise stopped[0] from None
        if "samples" in str(error):
            raise UnsupportedError("moving: it has too little overlap with fixed to be aligned") from error
        raise
    if stopped:
        raise stopped[0]


def _demons(pair: Pair, affine: Any, progress: Callable[[float], None], seed: int) -> Any:
    """Bend by diffeomorphic demons: for two images of one modality, whose gray values can be matched."""
    import SimpleITK as sitk  # noqa: N813

    edge = float(np.percentile(sitk.GetArrayViewFromImage(pair.moving), 0.5))
    moving = sitk.Resample(pair.moving, pair.fixed, affine, sitk.sitkLinear, edge)
    moving = sitk.HistogramMatching(moving, pair.fixed, 256, 15, True)
    field = None
    for level, factor in enumerate(DEMONS_LEVELS):
        fixed_small, moving_small = (_shrunk(i, factor) for i in (pair.fixed, moving))
        steps = DEMONS_ITERATIONS[level]
        method = sitk.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfIterations(steps)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations([DEMONS_SMOOTHING] * 3)
        before = field
        if before is None:
            before = sitk.Image(fixed_small.GetSize(), sitk.sitkVectorFloat64, 3)
            before.CopyInformation(fixed_small)
        else:
            before = sitk.Resample(before, fixed_small, sitk.Transform(), sitk.sitkLinear, 0.0)
        field = _watched(method, (fixed_small, moving_small, before), progress, (level, steps))
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def _shrunk(image: Any, factor: int) -> Any:
    import SimpleITK as sitk  # noqa: N813

    if factor == 1:
        return image
    smooth = sitk.SmoothingRecursiveGaussian(image, 0.5 * factor * float(image.GetSpacing()[0]))
    return sitk.Shrink(smooth, [min(factor, max(1, n // 8)) for n in image.GetSize()])


def _watched(method: Any, images: tuple[Any, Any, Any], progress: Callable[[float], None], at: tuple[int, int]) -> Any:
    import SimpleITK as sitk  # noqa: N813

    stopped: list[CancelledError] = []
    level, steps = at
    done = 0

    def watch() -> None:
        nonlocal done
        done += 1
        try:
            progress(min(0.99, (level + done / steps) / len(DEMONS_LEVELS)))
        except CancelledError as error:
            stopped.append(error)
            method.Abort()

    method.AddCommand(sitk.sitkIterationEvent, watch)
    try:
        field = method.Execute(*images)
    except RuntimeError:
        if stopped:
            raise stopped[0] from None
        raise
    if stopped:
        raise stopped[0]
    return field


def points_in(image: Any, count: int, seed: int, inside: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return random points of an image's grid in ITK's world, float64 (n, 3).

    Args:
        image: a SimpleITK image.
        count: how many at most.
        seed: of the choice.
        inside: bool, axes (i, j, k); None: everywhere.
    """
    chosen = np.argwhere(np.ones(image.GetSize(), bool) if inside is None else inside)
    rng = np.random.default_rng(seed)
    chosen = chosen[rng.choice(len(chosen), min(count, len(chosen)), replace=False)]
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return np.asarray(chosen @ matrix.T + np.array(image.GetOrigin()))


def moved(transform: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points mapped by a transform."""
    return np.array([transform.TransformPoint([float(x) for x in p]) for p in points])
