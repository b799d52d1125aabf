"""Better images by SimpleITK and scikit-image: noise, bias field, grid. Each returns a new array or volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, CancelledError, UnsupportedError
from tools.registration.grid import affine_of, from_itk, to_itk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import AnyArray, Volume

Progress = Callable[[float, str], None]

MAX_VOXELS = 400_000_000
"""1.6 GB in float32: more is a slip of the spacing rather than a wish."""
STEPS, TIME, CONDUCTANCE = 5, 0.0625, 3.0
"""Modified curvature diffusion, Whitaker and Xue, ICIP 2001: curvature flow that stops at edges. Plain curvature flow
rounded the edges of a noisy ball to 1.8 times the noise's error; this took both down to half and a fifth."""
PATCH, REACH, STRENGTH = 3, 4, 0.8
"""Non-local means: patch edge, search distance in voxels, and h in units of the noise (Buades et al., SIAM Multiscale
Model Simul 4 (2005) 490)."""
SLAB = 24
N4_LEVELS, N4_ITERATIONS, N4_VOXELS = 4, 40, 200_000
"""N4ITK, Tustison et al., IEEE Trans Med Imaging 29 (2010) 1310: the field is smooth, so a coarse copy suffices."""


def curvature_diffusion(volume: Volume, progress: Progress) -> AnyArray:
    """Smooth by curvature flow that stops at edges: fast, for large volumes."""
    import SimpleITK as sitk  # noqa: N813

    image = _plane_or_space(to_itk(volume), volume)
    step = TIME * min(1.0, float(min(image.GetSpacing())))  # longer is not stable on small voxels
    for number in range(STEPS):  # one step a call: progress and cancel between them
        progress(number / STEPS, "curvature diffusion")
        image = sitk.CurvatureAnisotropicDiffusion(image, step, CONDUCTANCE, 1, 1)
    return _typed(_back(image, volume), volume)


def non_local_means(volume: Volume, progress: Progress) -> tuple[AnyArray, float]:
    """Average voxels whose surroundings look alike; also returns the noise that was found, in the image's unit."""
    from skimage.restoration import denoise_nl_means

    values = volume.array.astype(np.float32)
    sigma = noise_of(values)
    if sigma == 0:
        return volume.array, 0.0
    out = np.empty_like(values)
    margin = PATCH + REACH
    depth = volume.shape[2]
    for start in range(0, depth, SLAB):
        progress(start / depth, "non-local means")
        low, high = max(0, start - margin), min(depth, start + SLAB + margin)
        slab = values[:, :, low:high] if depth > 1 else values[:, :, 0]
        smooth = denoise_nl_means(
            slab, patch_size=PATCH, patch_distance=REACH, h=STRENGTH * sigma, sigma=sigma, fast_mode=True
        )
        stop = min(depth, start + SLAB)
        out[:, :, start:stop] = smooth[:, :, start - low : stop - low] if depth > 1 else smooth[:, :, None]
    return _typed(out, volume), sigma


def noise_of(values: NDArray[np.float32]) -> float:
    """Return the noise's standard deviation, from how neighbours differ where they differ at all.

    The median of |difference| ÷ (0.6745 √2) is that of Gaussian noise; edges are rare and do not move a median.
    """
    steps = np.abs(np.diff(values, axis=0)) if values.shape[0] > 1 else np.abs(np.diff(values, axis=1))
    used = steps[steps > 0]
    return float(np.median(used) / (0.6745 * np.sqrt(2))) if used.size > 0.05 * steps.size else 0.0


def n4(volume: Volume, progress: Progress) -> tuple[NDArray[np.float32], float]:
    """Divide by the smooth field that N4 finds; also returns how far that field ranges, as a factor.

    Raises:
        BadInputError: intensities below 0, or nothing that stands out from the background.
    """
    import SimpleITK as sitk  # noqa: N813

    if float(volume.array.min()) < 0:
        raise BadInputError(
            f"image: bias correction needs intensities of 0 and more, got down to {volume.array.min():g}: this is no "
            "magnitude image; attach the original"
        )
    full = to_itk(volume)
    factor = max(1, round((float(np.prod(volume.shape)) / N4_VOXELS) ** (1 / volume.dims)))
    small = sitk.Shrink(full, [factor if n >= 4 * factor else 1 for n in full.GetSize()])
    mask = sitk.OtsuThreshold(small, 0, 1, 200)
    if not sitk.GetArrayViewFromImage(mask).any():
        raise BadInputError("image: nothing stands out from the background, so there is no bias field to find")
    method = sitk.N4BiasFieldCorrectionImageFilter()
    method.SetMaximumNumberOfIterations([N4_ITERATIONS] * (N4_LEVELS if volume.dims == 3 else N4_LEVELS - 1))
    _watch(method, lambda f: progress(0.8 * f, "looking for the bias field"), N4_LEVELS * N4_ITERATIONS)
    _executed(method, small, mask)
    progress(0.85, "correcting")
    field = from_itk(sitk.Exp(sitk.Cast(method.GetLogBiasFieldAsImage(full), sitk.sitkFloat32)))
    inside = from_itk(sitk.Resample(mask, full, sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
    low, high = (float(p) for p in np.percentile(field[inside], (1, 99)))
    return np.asarray(volume.array / field, np.float32), high / low


def regridded(volume: Volume, spacing_mm: float | None, *, order: str) -> Volume:
    """Return a volume on cubic voxels; the outer edges stay where they are as far as whole voxels allow.

    Args:
        volume: 2-D or 3-D with spacing; a single image keeps its one slice.
        spacing_mm: voxel edge; None: the shortest edge there is.
        order: "linear" or "cubic" (B-spline).

    Raises:
        BadInputError: so fine a grid that it would not fit into memory.
    """
    import SimpleITK as sitk  # noqa: N813

    edges = np.array(volume.spacing_mm[: volume.dims])
    edge = float(edges.min()) if spacing_mm is None else spacing_mm
    old = np.array(to_itk_spacing(volume))
    wanted = np.array([edge] * volume.dims + [old[2]] * (3 - volume.dims))
    size = np.maximum(1, np.rint(np.array(volume.shape) * old / wanted)).astype(int)
    if float(np.prod(size.astype(float))) > MAX_VOXELS:
        raise BadInputError(
            f"spacing_mm: {edge:g} mm makes {' × '.join(map(str, size))} voxels, at most "
            f"{MAX_VOXELS / 1e6:.0f} million are possible; choose a larger one"
        )
    image = to_itk(volume)
    blur = [max(0.0, 0.5 * float(w - o)) for w, o in zip(wanted, old, strict=True)]
    if max(blur) > 0:  # a coarser grid would fold fine detail into false detail
        image = (
            sitk.SmoothingRecursiveGaussian(image, [max(b, 0.05) for b in blur]) if min(volume.shape) >= 4 else image
        )
    grid = sitk.Image([int(n) for n in size], sitk.sitkFloat32)
    grid.SetSpacing([float(w) for w in wanted])
    grid.SetDirection(image.GetDirection())
    turn = np.array(image.GetDirection()).reshape(3, 3)
    extent = (np.array(volume.shape) * old - size * wanted) / 2
    grid.SetOrigin([float(x) for x in np.array(image.GetOrigin()) + turn @ (extent + (wanted - old) / 2)])
    kind = sitk.sitkBSpline if order == "cubic" and min(volume.shape[: volume.dims]) >= 4 else sitk.sitkLinear
    values = from_itk(sitk.Resample(_thick(image), grid, sitk.Transform(), kind, float(volume.array.min())))
    low, high = float(volume.array.min()), float(volume.array.max())
    clipped = np.clip(values, low, high)  # cubic interpolation overshoots at edges
    return replace(volume, array=_typed(clipped, volume), affine_ras=affine_of(grid))


def to_itk_spacing(volume: Volume) -> tuple[float, float, float]:
    """Return the affine's own steps, also along the one slice of a single image."""
    i, j, k = (float(s) for s in np.linalg.norm(volume.affine_ras[:3, :3], axis=0))
    return i, j, k


def _thick(image: Any) -> Any:
    """Return an image of one slice as three alike, so that its middle can be interpolated; others as they are."""
    import SimpleITK as sitk  # noqa: N813

    if image.GetSize()[2] > 1:
        return image
    step = np.array(image.GetDirection()).reshape(3, 3)[:, 2] * image.GetSpacing()[2]
    origin = [float(x) for x in np.array(image.GetOrigin()) - step]
    copies = sitk.Tile([image] * 3, [1, 1, 3])
    copies.SetSpacing(image.GetSpacing())
    copies.SetDirection(image.GetDirection())
    copies.SetOrigin(origin)
    return copies


def _plane_or_space(image: Any, volume: Volume) -> Any:
    return image[:, :, 0] if volume.dims == 2 else image


def _back(image: Any, volume: Volume) -> NDArray[np.float32]:
    values = from_itk(image)
    return values[:, :, None] if volume.dims == 2 else values


def _typed(values: NDArray[np.float32], volume: Volume) -> AnyArray:
    """Return whole numbers where the image has whole numbers, within their range."""
    dtype = volume.array.dtype
    if dtype.kind not in "iu":
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max)).astype(dtype)


def _watch(method: Any, progress: Callable[[float], None], expected: int) -> None:
    import SimpleITK as sitk  # noqa: N813

    state = {"done": 0}
    method.stopped = None

    def step() -> None:
        state["done"] += 1
        try:
            progress(min(0.99, state["done"] / expected))
        except CancelledError as error:
            method.stopped = error
            method.Abort()

    method.AddCommand(sitk.sitkIterationEvent, step)


def _executed(method: Any, *images: Any) -> Any:
    try:
        made = method.Execute(*images)
    except RuntimeError as error:
        if method.stopped:
            raise method.stopped from None
        raise UnsupportedError(
            f"image: SimpleITK could not process it ({str(error).splitlines()[-1][:120]})"
        ) from error
    if method.stopped:
        raise method.stopped
    return made
