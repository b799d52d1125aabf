"""May two images be laid on each other at all? Refusals that say why, before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.errors import BadInputError, UnsupportedError
from tools.registration.patient import patient_of_image

if TYPE_CHECKING:
    from tools.facts import AttachmentFacts
    from tools.imaging.volume import Volume
    from tools.workspace import Workspace

_REGIONS = (
    {"HEAD", "BRAIN", "SKULL", "HEADNECK"},
    {"NECK", "CSPINE", "HEADNECK"},
    {"CHEST", "THORAX", "LUNG", "HEART"},
    {"ABDOMEN", "LIVER", "KIDNEY", "ABDOMENPELVIS"},
    {"PELVIS", "PROSTATE", "HIP", "ABDOMENPELVIS"},
)
"""Body parts that show the same region. Neighbouring regions overlap and are not refused."""
_MIN_EDGE = 4  # voxels: fewer leave nothing to smooth or to interpolate


def require_same_patient(workspace: Workspace, first: str, second: str) -> str:
    """Return "same patient", or "" where the headers do not say; names are compared, never kept and never told.

    Raises:
        UnsupportedError: the headers name two patients.
    """
    one, other = patient_of_image(workspace, first), patient_of_image(workspace, second)
    if key := one.differs_from(other):
        raise UnsupportedError(
            f"{first} and {second} are of different patients: their headers differ in {key}; attach two studies of the "
            "same patient"
        )
    return "same patient" if one.may_be(other) else ""


def require_same_region(first: AttachmentFacts, second: AttachmentFacts) -> None:
    """Refuse two images whose headers name body parts that do not overlap."""
    if not same_region(first, second):
        raise UnsupportedError(
            f"{first.id} shows {first.body_part} and {second.id} shows {second.body_part}: different body parts "
            "cannot be laid on each other; attach two images of the same region"
        )


def same_region(first: AttachmentFacts, second: AttachmentFacts) -> bool:
    """Return whether two images may show the same part of the body: so far as both headers say."""
    regions = [
        {n for n, parts in enumerate(_REGIONS) if f.body_part.replace(" ", "") in parts} for f in (first, second)
    ]
    return not all(regions) or min(abs(a - b) for a in regions[0] for b in regions[1]) <= 1


def require_usable(volume: Volume, image: str) -> None:
    """Refuse what cannot be laid on another image.

    Raises:
        UnsupportedError: a single image, colour, or no spacing.
        BadInputError: too few voxels, or all of one value.
    """
    if volume.dims == 2 or volume.is_colour:
        what = "a colour image" if volume.is_colour else "a single image"
        raise UnsupportedError(f"{image} is {what}: a 3-D gray volume is needed; attach the whole series")
    if volume.spacing_source is None:
        raise UnsupportedError(
            f"{image} has no physical spacing: where its voxels lie in millimetres is unknown, so it cannot be laid on "
            "another; attach the original DICOM or NIfTI"
        )
    if min(volume.shape) < _MIN_EDGE:
        raise BadInputError(
            f"{image} has only {' × '.join(map(str, volume.shape))} voxels: at least {_MIN_EDGE} along each axis are "
            "needed"
        )
    if volume.array.min() == volume.array.max():
        raise BadInputError(f"{image} holds the value {volume.array.flat[0]} everywhere: there is nothing to align")
