"""Alignment of the sample brain and the sample CT under known transforms: error and seconds, beside plain SimpleITK.

    python benchmarks/registration.py

Each sample is moved by a known rigid, affine and deformable transform and aligned back. The error is the mean distance
of where the found and the known transform put 2,000 bright points, in the shortest voxel edge; the limit is 1 voxel.
Points that the known transform takes out of the picture are left out: nothing shows where they went.
The peer is SimpleITK as its first example has it: a centred Euler transform, Mattes mutual information, regular step
gradient descent, one resolution, a tenth of the voxels as samples; it knows no other kind. Seconds are those of one
alignment in one direction, on the working copies; `register` does two. CPU only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  its own usual name
from rich.console import Console
from rich.table import Table

from agent.settings import Settings
from knowledge.assets import Assets
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.registration.align import Kind, align, moved, points_in, working_pair
from tools.registration.grid import to_itk

LIMIT_VOXELS = 1.0
AMPLITUDE_MM = 6.0
KINDS: tuple[Kind, ...] = ("rigid", "affine", "deformable")


def known(kind: Kind, image: Any) -> tuple[Any, Any]:
    """Return a transform and its inverse."""
    centre = image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()])
    if kind == "rigid":
        turn = sitk.Euler3DTransform(centre, *np.radians((5.0, -3.0, 8.0)).tolist(), (9.0, -6.0, 5.0))
        return turn, turn.GetInverse()
    if kind == "affine":
        stretch = sitk.AffineTransform([1.06, 0.03, 0, 0, 0.95, 0.02, 0.01, 0, 1.04], (6.0, -4.0, 3.0), centre)
        return stretch, stretch.GetInverse()
    return _bend(image, inverse=False), _bend(image, inverse=True)


def _bend(image: Any, *, inverse: bool) -> Any:
    """Return a smooth bend of 6 mm, one wave along each axis, or its exact inverse.

    Both are computed from the formula, also beyond the image's edges: a field inverted on a grid is wrong near them,
    and the error would be called one of the alignment.
    """
    small = sitk.Shrink(image, [2 if n >= 40 else 1 for n in image.GetSize()])
    turn = np.array(small.GetDirection()).reshape(3, 3)
    extent = np.array(small.GetSize()) * np.array(small.GetSpacing())
    at = np.stack(np.meshgrid(*(np.arange(n) for n in small.GetSize()), indexing="ij"), axis=-1) * small.GetSpacing()

    def moves(points: Any) -> Any:
        phase = points / extent * 2 * np.pi
        waves = [np.sin(phase[..., 1]), np.sin(phase[..., 2] + 1), np.sin(phase[..., 0] + 2)]
        return AMPLITUDE_MM * np.stack(waves, axis=-1)

    offset = moves(at)
    if inverse:
        offset = -offset
        for _ in range(30):  # y = x + moves(x) is solved for x; it contracts, since the slope is far below 1
            offset = -moves(at + offset)
    field = sitk.GetImageFromArray(np.ascontiguousarray((offset @ turn.T).transpose(2, 1, 0, 3)), isVector=True)
    field.CopyInformation(small)
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def plain(fixed: Any, moving: Any) -> Any:
    """The peer."""
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(learningRate=1.0, minStep=1e-4, numberOfIterations=200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start)
    return method.Execute(fixed, moving)


def ours(kind: Kind) -> Callable[[Any, Any], Any]:
    def run(fixed: Any, moving: Any) -> Any:
        return align(
            working_pair(fixed, moving, same_modality=True, bending=kind == "deformable"), kind, lambda *_: None, 0
        )

    return run


def timed(
    method: Callable[[Any, Any], Any], fixed: Any, moving: Any, truth: Any, volume: Volume
) -> tuple[float, float]:
    """Return the error in voxels and the seconds."""
    started = time.perf_counter()
    found = method(fixed, moving)
    seconds = time.perf_counter() - started
    points = points_in(fixed, 2000, 0, np.asarray(volume.array > np.percentile(volume.array, 60)))
    there = moved(truth, points)
    index = np.array([moving.TransformPhysicalPointToContinuousIndex([float(x) for x in p]) for p in there])
    shown = ((index >= 0) & (index <= np.array(moving.GetSize()) - 1)).all(axis=1)
    apart = np.linalg.norm(moved(found, points[shown]) - there[shown], axis=1)
    return float(apart.mean() / min(volume.spacing_mm)), seconds


def main() -> None:
    assets = Assets(Settings().cache_dir)
    table = Table("sample", "transform", "method", "error, voxels", "error ÷ limit", "seconds", "seconds ÷ peer")
    for name, file in (("brain-t1", "t1.nii.gz"), ("chest-ct", "cxr.nii.gz")):
        volume = read_image(assets.path(name, file))
        if name == "chest-ct":
            volume = volume.with_array(np.maximum(volume.array, -1000))
        fixed, darkest = to_itk(volume), float(volume.array.min())
        for kind in KINDS:
            truth, inverse = known(kind, fixed)
            moving = sitk.Resample(fixed, fixed, inverse, sitk.sitkLinear, darkest)
            peer_s = 0.0
            if kind == "rigid":
                error, peer_s = timed(plain, fixed, moving, truth, volume)
                table.add_row(
                    name, kind, "plain SimpleITK", f"{error:.3f}", f"{error / LIMIT_VOXELS:.2f}", f"{peer_s:.1f}", "1"
                )
            error, seconds = timed(ours(kind), fixed, moving, truth, volume)
            ratio = f"{seconds / peer_s:.2f}" if peer_s else "–"
            table.add_row(name, kind, "ours", f"{error:.3f}", f"{error / LIMIT_VOXELS:.2f}", f"{seconds:.1f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
