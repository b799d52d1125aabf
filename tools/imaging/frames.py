"""Enhanced multi-frame DICOM: one file, one volume, each frame with its own position and scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.errors import BadInputError, UnsupportedError
from tools.imaging.decode import Frame, stored_frames
from tools.imaging.dicom import frame_count, require_image
from tools.imaging.dicom_header import (
    PlanePosition,
    body_part,
    modality,
    numbers,
    pixel_spacing,
    plane_affine,
    plane_position,
    syntax_of,
    text_of,
)
from tools.imaging.reasons import one_line, parse_errors
from tools.imaging.series import DicomFile
from tools.imaging.stack import (
    Grid,
    common_header,
    lone_step,
    regular_grid,
    require_one,
    require_same_plane,
    scale_of,
    stacked,
    units_of,
)
from tools.imaging.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUPS = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence",
           "PixelValueTransformationSequence", "CTImageFrameTypeSequence", "MRImageFrameTypeSequence",
           "FrameAnatomySequence")  # fmt: skip


def is_enhanced(dataset: Dataset) -> bool:
    """Say whether a dataset describes each frame by functional groups."""
    return "PerFrameFunctionalGroupsSequence" in dataset


def read_frames(file: DicomFile) -> Volume:
    """Read an enhanced multi-frame image (CT, MR, PET, legacy converted) as one volume.

    Raises:
        UnsupportedError: cine or other frames without positions, several stacks, or no regular grid.
        BadInputError: a damaged file.
    """
    name, dataset = file.path.name, file.dataset
    frames = _frames(file)
    planes = _planes(frames, name)
    spacing = pixel_spacing(frames[0])
    grid = _grid(planes, frames, name)
    first = planes[grid.order[0]]
    return Volume(
        stacked(
            stored_frames([Frame(file.path, index) for index in grid.order], {syntax_of(dataset)}),
            [scale_of(frames[index]) for index in grid.order],
        ),
        plane_affine(first, spacing, grid.step_lps),
        spacing_source=spacing.source,
        modality=modality(dataset),
        body_part=body_part(frames[0]),
        units=units_of(frames[0]),
        header=common_header([frames[index] for index in grid.order]),
    )


def frame_order(file: DicomFile) -> tuple[int, ...]:
    """Return the frames' numbers, from 0, in the order of the volume's slices; for errors see `read_frames`."""
    frames = _frames(file)
    return _grid(_planes(frames, file.path.name), frames, file.path.name).order


def _frames(file: DicomFile) -> list[Dataset]:
    """Return every frame's header as a classic image has it."""
    name = file.path.name
    require_image(file.dataset, name)
    count = frame_count(file.dataset, name)
    if not is_enhanced(file.dataset):
        raise UnsupportedError(
            f"{name!r} has {count} frames without a place in space (a cine): attach one frame as an image"
        )
    try:
        return [_flattened(file.dataset, index) for index in range(count)]
    except parse_errors() as error:
        raise BadInputError(f"{name!r}: the functional groups of its frames are damaged ({one_line(error)})") from error


def _flattened(dataset: Dataset, index: int) -> Dataset:
    """Return one frame's header as a classic image has it: top level, shared groups, then the frame's own."""
    from pydicom import Dataset as NewDataset

    flat = NewDataset()
    flat.file_meta = dataset.file_meta
    for element in dataset:
        if element.VR != "SQ" and element.tag.group < 0x7FE0:
            flat.add(element)
    shared = dataset.get("SharedFunctionalGroupsSequence") or [NewDataset()]
    for groups in (shared[0], dataset.PerFrameFunctionalGroupsSequence[index]):
        for keyword in _GROUPS:
            for item in (groups.get(keyword) or [])[:1]:
                flat.update({element.tag: element for element in item})
    if "FrameType" in flat:
        flat.ImageType = flat.FrameType
    return flat


def _planes(frames: Sequence[Dataset], name: str) -> list[PlanePosition]:
    planes = [plane_position(frame) for frame in frames]
    known = [plane for plane in planes if plane is not None]
    if len(known) < len(planes):
        raise UnsupportedError(f"{name!r} has frames without a position in the patient: they are no volume")
    require_same_plane(frames)
    require_one({text_of(frame, "RescaleType") for frame in frames}, "RescaleType")
    return known


def _grid(planes: Sequence[PlanePosition], frames: Sequence[Dataset], name: str) -> Grid:
    if len(planes) == 1:
        return Grid((0,), lone_step(planes[0], numbers(frames[0], "SliceThickness", 1)))
    return regular_grid(planes, [f"{name} frame {index + 1}" for index in range(len(planes))])
