"""One alignment from end to end: checked, computed there and back, judged, and applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.registration.align import Kind, Pair, Progress, align, working_pair
from tools.registration.grid import from_itk, to_itk
from tools.registration.matching import require_same_patient, require_same_region, require_usable
from tools.registration.quality import inverse_consistency_mm, jacobian, similarity

if TYPE_CHECKING:
    from tools.imaging.volume import AnyArray, BoolArray, Volume
    from tools.workspace import Workspace

MIN_OVERLAP = 0.05
"""Share of the fixed image that the moving one must cover: less is no common anatomy to align."""
MIN_NMI = 1.02
"""Normalised mutual information of unrelated volumes stays below (tests/tools/registration)."""


@dataclass(frozen=True)
class Quality:
    """What the numbers say of an alignment."""

    nmi_before: float
    nmi_after: float
    correlation_before: float
    correlation_after: float
    overlap: float
    inverse_mean_mm: float | None
    inverse_p95_mm: float | None
    jacobian_min: float
    jacobian_max: float
    folded_share: float


@dataclass(frozen=True)
class Alignment:
    """A transform from fixed to moving points (LPS+ mm) and how good it is."""

    transform: Any
    quality: Quality
    same_modality: bool
    patient: str
    """ "same patient" where the headers say so, else empty."""


def check_pair(workspace: Workspace, fixed: str, moving: str) -> str:
    """Refuse two images that cannot be laid on each other; returns what the headers say of the patient.

    Raises:
        BadInputError: the same image twice, or one without content.
        UnsupportedError: two patients, two body parts, a single image, no spacing.
    """
    if fixed == moving:
        raise BadInputError(f"moving: it is {fixed} itself; name two different images")
    patient = require_same_patient(workspace, fixed, moving)
    require_same_region(workspace.image_facts(fixed), workspace.image_facts(moving))
    for image in (fixed, moving):
        require_usable(workspace.volume(image), image)
    return patient


def aligned(workspace: Workspace, ids: tuple[str, str], kind: Kind, progress: Progress, seed: int) -> Alignment:
    """Align the second image with the first.

    Args:
        workspace: the reading.
        ids: fixed and moving image.
        kind: how the moving image may change.
        progress: told how far the work is; may raise to stop it.
        seed: of all random choices.

    Raises:
        BadInputError, UnsupportedError: see `check_pair`; or no overlap, or nothing that fits.
    """
    fixed, moving = ids
    patient = check_pair(workspace, fixed, moving)
    modalities = {workspace.image_facts(i).modality for i in ids}
    same = len(modalities) == 1 and "" not in modalities
    images = [to_itk(workspace.volume(i)) for i in ids]
    pair = working_pair(images[0], images[1], same_modality=same, bending=kind == "deformable")
    there = align(pair, kind, lambda f, what: progress(0.6 * f, what), seed)
    back = align(pair.turned(), kind, lambda f, _: progress(0.6 + 0.35 * f, "aligning the other way"), seed)
    progress(0.96, "judging the fit")
    return Alignment(there, _judged(pair, there, back, seed, ids), same, patient)


def _judged(pair: Pair, there: Any, back: Any, seed: int, ids: tuple[str, str]) -> Quality:
    import SimpleITK as sitk  # noqa: N813

    nmi_before, correlation_before, _ = similarity(pair, sitk.Transform())
    nmi, correlation, overlap = similarity(pair, there)
    if overlap < MIN_OVERLAP:
        raise UnsupportedError(
            f"moving: {ids[1]} covers {100 * overlap:.0f} % of {ids[0]} after alignment, {100 * MIN_OVERLAP:.0f} % or "
            "more are needed: they show no common part of the body"
        )
    if nmi < MIN_NMI:
        raise UnsupportedError(
            f"moving: nothing in {ids[1]} fits {ids[0]} (normalised mutual information {nmi:.3f}, unrelated images "
            "have 1): attach two images of the same part of the same patient"
        )
    mean_mm, p95_mm = inverse_consistency_mm(pair, there, back, seed)
    low, high, folded = jacobian(pair, there)
    return Quality(
        nmi_before=round(nmi_before, 4),
        nmi_after=round(nmi, 4),
        correlation_before=round(correlation_before, 4),
        correlation_after=round(correlation, 4),
        overlap=round(overlap, 4),
        inverse_mean_mm=None if np.isnan(mean_mm) else round(mean_mm, 3),
        inverse_p95_mm=None if np.isnan(p95_mm) else round(p95_mm, 3),
        jacobian_min=round(low, 3),
        jacobian_max=round(high, 3),
        folded_share=round(folded, 5),
    )


def resampled(moving: Volume, fixed: Volume, transform: Any) -> AnyArray:
    """Return the moving image on the fixed one's voxels, linear; its own lowest value where it does not reach.

    Whole numbers stay whole numbers of the same type.
    """
    import SimpleITK as sitk  # noqa: N813

    lowest = float(moving.array.min())
    image = sitk.Resample(to_itk(moving), to_itk(fixed), transform, sitk.sitkLinear, lowest)
    values = from_itk(image)
    dtype = moving.array.dtype
    if dtype.kind in "iu":
        return np.asarray(np.rint(values)).astype(dtype)
    return values


def resampled_mask(inside: BoolArray, grid: Volume, fixed: Volume, transform: Any) -> BoolArray:
    """Return a mask of the moving image on the fixed one's voxels: inside where its linear value is half or more."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.Resample(to_itk(grid, inside), to_itk(fixed), transform, sitk.sitkLinear, 0.0)
    return np.asarray(from_itk(image) >= 0.5)


def covered(moving: Volume, fixed: Volume, transform: Any) -> BoolArray:
    """Return which voxels of the fixed image the moving one reaches."""
    import SimpleITK as sitk  # noqa: N813

    ones = to_itk(moving, np.ones(moving.shape, np.float32))
    return np.asarray(from_itk(sitk.Resample(ones, to_itk(fixed), transform, sitk.sitkNearestNeighbor, 0.0)) > 0.5)
