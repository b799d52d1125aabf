"""Alignment of the sample brain and the sample CT under known transforms: error and seconds, beside plain SimpleITK.

    python benchmarks/registration.py [--bends SEEDS]

Each sample is moved by a known rigid, affine and deformable transform and aligned back. The error is the mean distance
of where the found and the known transform put 2,000 bright points, in the shortest voxel edge; the limit is 1 voxel.
Points that the known transform takes out of the picture are left out: nothing shows where they went.
The peer is SimpleITK as its first example has it: a centred Euler transform, Mattes mutual information, regular step
gradient descent, one resolution, a tenth of the voxels as samples; it knows no other kind. Seconds are those of one
alignment in one direction, on the working copies; `register` does two. CPU only.

With `--bends`, only deformable: as many random smooth bends of each of three sizes, so that the method is not judged by
the one bend that it was tuned on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
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
BENDS_MM = (5.0, 10.0, 20.0)
"""Largest move of the random bends; that of the known one is 10.4 mm."""
SAMPLES = (("brain-t1", "t1.nii.gz"), ("chest-ct", "cxr.nii.gz"))
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
    return bend(image, one_wave, inverse=False), bend(image, one_wave, inverse=True)


def one_wave(at: Any) -> Any:
    """Move by 6 mm at most along each axis, one wave over the image; `at` is a share of its extent."""
    phase = at * 2 * np.pi
    waves = [np.sin(phase[..., 1]), np.sin(phase[..., 2] + 1), np.sin(phase[..., 0] + 2)]
    return AMPLITUDE_MM * np.stack(waves, axis=-1)


def random_waves(seed: int, largest_mm: float) -> Callable[[Any], Any]:
    """Return a bend of three waves an axis, of random direction, phase and up to 1.5 periods over the image.

    Its largest move inside the image is `largest_mm`.
    """
    rng = np.random.default_rng(seed)
    periods, phases = rng.uniform(-1.5, 1.5, (3, 3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))
    weights = rng.uniform(0.3, 1.0, (3, 3))

    def raw(at: Any) -> Any:
        waves = [
            sum(weights[axis, n] * np.sin(2 * np.pi * (at @ periods[axis, n]) + phases[axis, n]) for n in range(3))
            for axis in range(3)
        ]
        return np.stack(waves, axis=-1)

    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 33)] * 3, indexing="ij"), axis=-1)
    scale = largest_mm / np.linalg.norm(raw(lattice), axis=-1).max()
    return lambda at: scale * raw(at)


def bend(image: Any, moves: Callable[[Any], Any], *, inverse: bool) -> Any:
    """Return a smooth bend, or its exact inverse.

    Both are computed from the formula, also beyond the image's edges: a field inverted on a grid is wrong near them,
    and the error would be called one of the alignment.
    """
    small = sitk.Shrink(image, [2 if n >= 40 else 1 for n in image.GetSize()])
    turn = np.array(small.GetDirection()).reshape(3, 3)
    extent = np.array(small.GetSize()) * np.array(small.GetSpacing())
    at = np.stack(np.meshgrid(*(np.arange(n) for n in small.GetSize()), indexing="ij"), axis=-1) * small.GetSpacing()

    offset = moves(at / extent)
    if inverse:
        offset = -offset
        for _ in range(60):  # y = x + moves(x) is solved for x; it contracts, since the slope is far below 1
            offset = -moves((at + offset) / extent)
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
    parser = argparse.ArgumentParser()
    parser.add_argument("--bends", type=int, default=0, metavar="SEEDS", help="random bends of each size")
    parser.add_argument("--sample", choices=[name for name, _ in SAMPLES], help="only this one")
    given = parser.parse_args()
    chosen = [(name, file) for name, file in SAMPLES if given.sample in (None, name)]
    if given.bends:
        random_bends(chosen, given.bends)
    else:
        known_transforms(chosen)


def volumes(chosen: list[tuple[str, str]]) -> Iterator[tuple[str, Volume]]:
    assets = Assets(Settings().cache_dir)
    for name, file in chosen:
        volume = read_image(assets.path(name, file))
        yield name, volume.with_array(np.maximum(volume.array, -1000)) if name == "chest-ct" else volume


def random_bends(chosen: list[tuple[str, str]], seeds: int) -> None:
    table = Table(
        "sample", "largest move, mm", "bends", "error, voxels: median", "largest", "largest ÷ limit", "seconds"
    )
    for name, volume in volumes(chosen):
        fixed, darkest = to_itk(volume), float(volume.array.min())
        for largest_mm in BENDS_MM:
            found = []
            for seed in range(seeds):
                moves = random_waves(seed, largest_mm)
                moving = sitk.Resample(fixed, fixed, bend(fixed, moves, inverse=True), sitk.sitkLinear, darkest)
                truth = bend(fixed, moves, inverse=False)
                found.append(timed(ours("deformable"), fixed, moving, truth, volume))
                print(
                    f"{name} {largest_mm:g} mm, seed {seed}: {found[-1][0]:.3f} voxel, {found[-1][1]:.0f} s", flush=True
                )
            errors, seconds = np.array(found).T
            table.add_row(
                name, f"{largest_mm:g}", str(seeds), f"{np.median(errors):.3f}", f"{errors.max():.3f}",
                f"{errors.max() / LIMIT_VOXELS:.2f}", f"{np.median(seconds):.0f}",
            )  # fmt: skip
    Console().print(table)


def known_transforms(chosen: list[tuple[str, str]]) -> None:
    table = Table("sample", "transform", "method", "error, voxels", "error ÷ limit", "seconds", "seconds ÷ peer")
    for name, volume in volumes(chosen):
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
