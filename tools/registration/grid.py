"""Our volumes as SimpleITK images and back: the same voxels on the same world points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.imaging.geometry import LPS_TO_RAS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import AnyArray, Volume


def to_itk(volume: Volume, array: AnyArray | None = None) -> Any:
    """Return a volume as a SimpleITK image, float32; ITK's world is LPS+ mm.

    Args:
        volume: a 3-D gray image with spacing.
        array: other values on the same grid, such as a mask; None: the volume's own.
    """
    import SimpleITK as sitk  # noqa: N813  its own usual name

    values = volume.array if array is None else array
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T, dtype=np.float32))
    affine = LPS_TO_RAS @ volume.affine_ras
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(x) for x in affine[:3, 3]])
    image.SetDirection([float(x) for x in (affine[:3, :3] / spacing).ravel()])
    return image


def from_itk(image: Any) -> NDArray[np.float32]:
    """Return the voxels of a SimpleITK image, float32, axes (i, j, k)."""
    import SimpleITK as sitk  # noqa: N813

    return np.ascontiguousarray(sitk.GetArrayFromImage(image).T).astype(np.float32, copy=False)


def affine_of(image: Any) -> NDArray[np.float64]:
    """Return float64 (4, 4), voxel index (0-based) to RAS+ mm, of a SimpleITK image."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.asarray(LPS_TO_RAS @ affine)


def working_copy(image: Any, spacing_mm: float) -> Any:
    """Return an image smoothed and resampled to cubic voxels; finer axes are averaged, coarser ones interpolated."""
    import SimpleITK as sitk  # noqa: N813

    old = np.array(image.GetSpacing())
    sigma = [max(0.05, 0.5 * (spacing_mm - s)) for s in old]  # half a voxel of blur where the grid gets coarser
    smooth = sitk.SmoothingRecursiveGaussian(image, sigma) if max(sigma) > 0.1 else image
    size = [max(8, round(n * s / spacing_mm)) for n, s in zip(image.GetSize(), old, strict=True)]
    step = [n * s / m for n, s, m in zip(image.GetSize(), old, size, strict=True)]
    # The outer edges stay where they are, so the first voxel's centre moves.
    shift = np.array(image.GetDirection()).reshape(3, 3) @ ((np.array(step) - old) / 2)
    grid = sitk.Image(size, sitk.sitkFloat32)
    grid.SetSpacing(step)
    grid.SetOrigin([float(x) for x in np.array(image.GetOrigin()) + shift])
    grid.SetDirection(image.GetDirection())
    edge = float(np.percentile(sitk.GetArrayViewFromImage(smooth)[::4, ::4, ::4], 0.5))
    return sitk.Resample(smooth, grid, sitk.Transform(), sitk.sitkLinear, edge)
