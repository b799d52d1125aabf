"""Points of the brain carried over from a template that is laid on the image: the commissures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UnsupportedError
from tools.imaging.geometry import LPS_TO_RAS, world_to_voxel
from tools.models.runtimes.base import FoundPoint, Loading, Progress
from tools.models.runtimes.monai_bundle import require_scan

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

POINTS_MM: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"anterior_commissure": (0.0, 2.3, -4.4), "posterior_commissure": (0.0, -25.0, -2.4)}
)
"""In RAS+ mm of the template MNI ICBM152 2009a (symmetric): the middle of each bundle where it crosses the midline in
the template's own white matter map, read to about a voxel of 1 mm."""
MIN_NMI = 1.06
"""Normalised mutual information below which the template does not fit; unrelated images have 1."""
SEED = 0


class LandmarksFromTemplate:
    """Lays the template on an image by an affine transform and carries its points over.

    Args:
        template: the T1 template with its affine.
    """

    def __init__(self, template: Volume) -> None:
        self._template = template

    def landmarks(self, volume: Volume, targets: Sequence[str], progress: Progress) -> tuple[FoundPoint, ...]:
        """Return the points asked for; see `LandmarkRuntime`.

        Raises:
            UnsupportedError: the template does not fit the image.
        """
        from tools.registration.align import align, moved, working_pair
        from tools.registration.grid import to_itk
        from tools.registration.quality import similarity

        require_scan(volume)
        names = [name for name in targets or tuple(POINTS_MM) if name in POINTS_MM]
        progress(0.02, "laying the template on the image")
        # another scanner, another contrast: the two are never taken to have the same gray values
        pair = working_pair(to_itk(self._template), to_itk(volume), same_modality=False)
        transform = align(pair, "affine", lambda done, what: progress(0.02 + 0.9 * done, what), SEED)
        fit, _, _ = similarity(pair, transform)
        if fit < MIN_NMI:
            raise UnsupportedError(
                f"the template of the brain does not fit this image (normalised mutual information {fit:.3f}, "
                f"{MIN_NMI} is needed): attach an MR of the whole head"
            )
        flip = LPS_TO_RAS[:3, :3]
        there = moved(transform, np.array([POINTS_MM[name] for name in names], np.float64) @ flip)
        voxels = world_to_voxel(volume, there @ flip)
        last = np.array(volume.shape, np.float64) - 0.5
        found = []
        for name, voxel in zip(names, voxels, strict=True):
            if (voxel >= -0.5).all() and (voxel <= last).all():
                i, j, k = (float(n) for n in voxel)
                found.append(FoundPoint(name, (i, j, k)))
        return tuple(found)


def load(loading: Loading) -> LandmarksFromTemplate:
    """Read the template."""
    from tools.imaging.nifti import read_nifti

    return LandmarksFromTemplate(read_nifti(next(iter(loading.weights.values()))))
