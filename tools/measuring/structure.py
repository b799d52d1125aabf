"""One outlined structure in its image: what the methods of `measure` work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tools.claims import RADIOMICS
from tools.errors import BadInputError
from tools.imaging.whereabouts import region_of
from tools.measuring.boundary import Boundary, boundary_of
from tools.places import Region
from tools.results import Measurement

if TYPE_CHECKING:
    from tools.imaging.volume import BoolArray, Volume
    from tools.workspace import Workspace

_LENGTHS = frozenset({"ml", "mm", "cm2"})


@dataclass(frozen=True)
class Uncertainty:
    """How far a value may be off, and how that was found."""

    value: float
    method: str


@dataclass(frozen=True)
class Structure:
    """One outlined structure in its image; its mask holds a voxel."""

    target: str
    inside: BoolArray
    volume: Volume
    image: str
    mask: str

    @cached_property
    def boundary(self) -> Boundary:
        """The structure one voxel smaller and one voxel larger."""
        return boundary_of(self.inside)

    @cached_property
    def voxels(self) -> int:
        """How many voxels lie inside."""
        return int(np.count_nonzero(self.inside))

    @property
    def named(self) -> Region:
        """Its names as a place has them."""
        mask = "" if self.mask == self.image else self.mask  # outlined within the step: no mask to open
        return Region(image=self.image, mask=mask, target=self.target)

    @cached_property
    def where(self) -> Region | None:
        """Where it is best seen."""
        return region_of(self.inside, self.volume, self.named)

    def row(
        self, quantity: str, value: float, unit: str, method: str, uncertainty: Uncertainty | None = None
    ) -> Measurement:
        """Return a measured value with where it comes from."""
        return Measurement(
            target=self.target,
            quantity=quantity,
            value=value,
            unit=unit,
            image=self.image,
            mask=self.mask,
            spacing_source=(self.volume.spacing_source or "") if unit in _LENGTHS else "",
            method=method,
            uncertainty=uncertainty.value if uncertainty else None,
            uncertainty_method=uncertainty.method if uncertainty else "",
            where=None if quantity.startswith(RADIOMICS) else self.where,  # 173 features of one place
        )


def structures_of(
    workspace: Workspace, mask: str, image: str, notes: list[str], only: frozenset[str] | None = None
) -> list[Structure]:
    """Return the outlined structures that hold a voxel; the others are named in the notes.

    Args:
        workspace: the reading.
        mask: id of the mask.
        image: id of the image that it is measured on.
        notes: gets a line for each structure that cannot be measured.
        only: targets to look at; None: all.

    Raises:
        BadInputError: the mask is empty, or lies on another grid than the image.
    """
    volume = workspace.volume(image)
    found = []
    for target, inside, grid in workspace.masks(mask):
        if only is not None and target not in only:
            continue
        if not grid.same_grid(volume):
            raise BadInputError(
                f"mask: {target!r} of {mask} lies on another grid ({grid_text(grid)}) than {image} "
                f"({grid_text(volume)}): name the image that was outlined, or outline this one"
            )
        if inside.any():
            found.append(Structure(target, inside, volume, image, mask))
            if target == mask:
                notes.append(f"what {mask} outlines was not stated; attach it with a label to have it named")
        else:
            notes.append(f"{target}: the mask is empty, so nothing was measured")
    if not found:
        raise BadInputError(f"mask: {mask} is empty, expected at least one voxel inside; nothing can be measured")
    return found


def grid_text(grid: Volume) -> str:
    """Return size and place of a grid in a few words."""
    shape = " × ".join(str(n) for n in grid.shape)
    corner = ", ".join(f"{x:.1f}" for x in grid.affine_ras[:3, 3])
    return f"{shape} voxels, first voxel at {corner}"
