"""Masks as a DICOM segmentation on the images that they were outlined in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.exporting.codes import Coding, concept, structure
from tools.exporting.source import Source
from tools.imaging.volume import BoolArray
from tools.workspace import Workspace

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

MANUFACTURER = "Reading Room"
DEVICE = "research use only, not a medical device"
_AI = Coding("123110", "DCM", "Artificial Intelligence")
_ANALYTICAL = Coding("128480", "DCM", "Analytical Algorithm")
SERIES_NUMBER = 900  # out of the way of the scanner's own


def write_segmentation(workspace: Workspace, mask: str, source: Source, path: Path) -> tuple[Segmentation, list[str]]:
    """Write the masks of one artifact as one DICOM SEG file, a segment a target.

    Args:
        workspace: of the reading.
        mask: id of a mask artifact or attachment.
        source: of the image that the mask belongs to.
        path: of the new file.

    Returns:
        The data set, and the targets in the order of its segment numbers, from 1; empty masks are left out.

    Raises:
        UnsupportedError: every mask is empty.
        BadInputError: a mask is not on its image's grid.
    """
    shape = workspace.volume(source.image).shape
    targets, stack = [], []
    for target, inside, volume in workspace.masks(mask):
        if volume.shape != shape:
            raise BadInputError(
                f"mask {target!r} of {mask} has {volume.shape} voxels, its image {source.image} has {shape}: "
                "a DICOM segmentation needs the image's own grid"
            )
        if inside.any():
            targets.append(target)
            stack.append(_in_source_order(inside, source))
    if not targets:
        raise UnsupportedError(f"{mask} holds no voxel, and DICOM has no empty segmentation: there is nothing to write")
    dataset = _segmentation(workspace, mask, source, targets, np.stack(stack, axis=-1))
    dataset.save_as(path)
    return dataset, targets


def _in_source_order(inside: BoolArray, source: Source) -> Any:
    """Return a mask as (frame, row, column), frames as the source's files or frames lie."""
    frames = np.ascontiguousarray(inside.transpose(2, 1, 0))
    if not source.multi_frame:
        return frames
    ordered = np.zeros_like(frames)
    ordered[list(source.frames)] = frames
    return ordered


def _segmentation(
    workspace: Workspace, mask: str, source: Source, targets: Sequence[str], pixels: BoolArray
) -> Segmentation:
    from highdicom.seg import Segmentation as Seg
    from highdicom.seg import SegmentationTypeValues
    from pydicom.uid import generate_uid

    marks = workspace.marks_of(mask)
    said = f" {', '.join(marks).upper()}" if marks else ""
    dataset = Seg(
        source_images=source.headers,
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(number, target, workspace, mask) for number, target in enumerate(targets, 1)
        ],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=software_version(),
        device_serial_number="none",
        content_description=f"{DEVICE}{said}"[:64],
        content_label="SEGMENTATION",
        series_description=f"Segmentation, research use{said}"[:64],
    )
    for item, target in zip(dataset.SegmentSequence, targets, strict=True):
        if side := structure(target).side:
            item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [concept(side)]
    return dataset


def _description(number: int, target: str, workspace: Workspace, mask: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.uid import generate_uid

    coded = structure(target)
    model = workspace.artifact(mask).provenance.model if mask.startswith("s") else None
    by_hand = not mask.startswith("s")
    algorithm = None
    if not by_hand:
        algorithm = AlgorithmIdentificationSequence(
            name=(model.card if model else workspace.artifact(mask).provenance.tool)[:64],
            family=concept(_AI if model and model.weights_sha256 else _ANALYTICAL),
            version=(model.version if model else software_version())[:64],
            source=(model.runtime if model else MANUFACTURER)[:64],
        )
    kind = SegmentAlgorithmTypeValues.MANUAL if by_hand else SegmentAlgorithmTypeValues.AUTOMATIC
    return SegmentDescription(
        segment_number=number,
        segment_label=target[:64],
        segmented_property_category=concept(coded.category),
        segmented_property_type=concept(coded.type),
        algorithm_type=kind,
        algorithm_identification=algorithm,
        tracking_uid=generate_uid(),
        tracking_id=f"{mask}-{target}"[:64],
    )


def software_version() -> str:
    """Return our own version."""
    try:
        return version("readingroom")
    except PackageNotFoundError:
        return "source"
