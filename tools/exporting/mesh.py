"""Masks as closed surfaces in millimetres, in the world that DICOM viewers use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.geometry import LPS_TO_RAS
from tools.imaging.volume import BoolArray, Volume

if TYPE_CHECKING:
    from trimesh import Trimesh

_STL_HEADER = 80  # bytes of free text that a binary STL begins with
MeshFormat = Literal["stl", "obj"]


def surface_of(inside: BoolArray, grid: Volume) -> Trimesh:
    """Return the surface of a mask: LPS+ mm, closed, normals outwards.

    The surface runs half-way between voxels inside and outside, unsmoothed, so its volume is a little below that of the
    voxels. Marching cubes as Lorensen and Cline (1987) chose their cases closes the surface of every mask; the newer
    variant does not where voxels touch at edges.

    Args:
        inside: bool (i, j, k).
        grid: the image that the mask lies on; it must have spacing.

    Raises:
        UnsupportedError: no voxel, a 2-D image, or no spacing.
    """
    from skimage.measure import marching_cubes
    from trimesh import Trimesh as Mesh

    if grid.dims == 2:
        raise UnsupportedError("a surface in millimetres needs a volume, this image is 2-D: export a png")
    _ = grid.spacing_mm  # raises where there are none
    if not inside.any():
        raise UnsupportedError("the mask is empty: there is no surface")
    low = np.argwhere(inside).min(axis=0)
    high = np.argwhere(inside).max(axis=0) + 1
    cut = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    padded = np.pad(cut, 1).astype(np.float32)  # a rim of air closes the surface where the mask meets the border
    vertices, faces, _, _ = marching_cubes(padded, 0.5, method="lorensen")
    affine = LPS_TO_RAS @ grid.affine_ras
    world = (vertices + low - 1) @ affine[:3, :3].T + affine[:3, 3]
    mesh = Mesh(world, faces, process=True)
    if mesh.volume < 0:  # a left-handed grid turns the surface inside out
        mesh.invert()
    return mesh


def write_mesh(inside: BoolArray, grid: Volume, path: Path, form: MeshFormat, *, said: str = "") -> Trimesh:
    """Write the surface of a mask as binary STL or as OBJ, in LPS+ mm.

    Args:
        inside: bool (i, j, k).
        grid: the image that the mask lies on.
        path: of the new file.
        form: which format.
        said: what a reader elsewhere must know, for the STL's header of 80 bytes or a comment of the OBJ.

    Raises:
        UnsupportedError: as `surface_of`, or the surface is not closed.
    """
    mesh = surface_of(inside, grid)
    if not mesh.is_watertight:
        raise UnsupportedError(f"the surface for {path.name!r} is not closed and was not written")
    if form == "obj":
        mesh.export(path, file_type="obj", header=said)
        return mesh
    mesh.export(path, file_type="stl")
    with path.open("r+b") as file:
        file.write(said.encode("ascii", "replace")[:_STL_HEADER].ljust(_STL_HEADER))
    return mesh
