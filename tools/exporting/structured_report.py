"""Measurements as a DICOM TID 1500 report on their segments, and drafts as a DICOM text report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.exporting.changes import measurement
from tools.exporting.codes import SCHEME, Coding, concept, quantity, structure
from tools.exporting.segmentation import DEVICE, MANUFACTURER, software_version
from tools.exporting.source import Source
from tools.results import Claim, Draft, Measurement

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import ObservationContext

SERIES_NUMBER = 901
_ROOT = Coding("18748-4", "LN", "Diagnostic imaging report")
_SECTIONS = {
    "technique": (
        Coding("121064", "DCM", "Current Procedure Descriptions"),
        Coding("121065", "DCM", "Procedure Description"),
    ),
    "findings": (Coding("121070", "DCM", "Findings"), Coding("121071", "DCM", "Finding")),
    "impression": (Coding("121072", "DCM", "Impressions"), Coding("121073", "DCM", "Impression")),
    "similar": (Coding("SIMILAR", SCHEME, "Reports of other patients"), Coding("QUOTED", SCHEME, "Quoted sentence")),
    "limitations": (Coding("LIMITS", SCHEME, "Limitations"), Coding("LIMIT", SCHEME, "Limitation")),
}


def write_measurements(
    rows: Sequence[Measurement],
    source: Source,
    segments: Mapping[str, tuple[Segmentation, Sequence[str]]],
    path: Path,
    marks: Sequence[str] = (),
) -> None:
    """Write measurements as a TID 1500 report.

    Args:
        rows: of one measurement artifact, all of one image.
        source: the image's headers.
        segments: per mask id, the segmentation that was written and its targets in segment order.
        path: of the new file.
        marks: of the measurements, such as "synthetic".
    """
    grouped: dict[tuple[str, str], list[Measurement]] = {}
    for row in rows:
        grouped.setdefault((row.mask, row.target), []).append(row)
    groups = [_group(mask, target, found, source, segments.get(mask)) for (mask, target), found in grouped.items()]
    write_groups(groups, source, [*source.headers, *(dataset for dataset, _ in segments.values())], path, marks)


def write_groups(
    groups: Sequence[Any], source: Source, evidence: Sequence[Any], path: Path, marks: Sequence[str]
) -> None:
    """Write groups of measurements as a TID 1500 report.

    Args:
        groups: highdicom's measurement groups.
        source: the headers of the image that they are of.
        evidence: every object that they refer to.
        path: of the new file.
        marks: of the measurements, such as "synthetic".
    """
    from highdicom.sr import MeasurementReport
    from pydicom.sr.codedict import codes

    content = MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion if _is_ct(source) else _procedure(),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    _save(evidence, content[0], path, marks)


def write_draft(draft: Draft, source: Source, path: Path, marks: Sequence[str] = ()) -> None:
    """Write a draft as a text report: a section a heading, a text item a sentence with its evidence ids."""
    from highdicom.sr import ContainerContentItem, ContentSequence, RelationshipTypeValues, TextContentItem

    root = ContainerContentItem(name=concept(_ROOT))
    root.ContentSequence = ContentSequence()
    for item in _observer():
        root.ContentSequence.append(item)
    for name, (heading, sentence) in _SECTIONS.items():
        claims: tuple[Claim, ...] = getattr(draft, name)
        if not claims:
            continue
        section = ContainerContentItem(name=concept(heading), relationship_type=RelationshipTypeValues.CONTAINS)
        section.ContentSequence = ContentSequence(
            [TextContentItem(concept(sentence), _sentence(c), RelationshipTypeValues.CONTAINS) for c in claims]
        )
        root.ContentSequence.append(section)
    _save(source.headers, root, path, marks)


def _sentence(claim: Claim) -> str:
    return claim.shown + "".join(f" [{i}]" for i in claim.evidence)


def _save(evidence: Sequence[Any], content: Any, path: Path, marks: Sequence[str]) -> None:
    from highdicom.sr import Comprehensive3DSR
    from pydicom.uid import generate_uid

    report = Comprehensive3DSR(
        evidence=evidence,
        content=content,
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,  # a person has still to sign it
        series_description=f"Draft, research use{''.join(f', {m.upper()}' for m in marks)}"[:64],
    )
    report.SpecificCharacterSet = "ISO_IR 192"  # sentences hold signs that the image's own character set may lack
    report.save_as(path)


def _observer() -> ObservationContext:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(),
        name=f"{MANUFACTURER} {software_version()} ({DEVICE})",
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def _is_ct(source: Source) -> bool:
    return str(source.headers[0].Modality) == "CT"


def _procedure() -> Any:
    return concept(Coding("363679005", "SCT", "Imaging procedure"))


def _group(
    mask: str,
    target: str,
    rows: Sequence[Measurement],
    source: Source,
    segments: tuple[Segmentation, Sequence[str]] | None,
) -> Any:
    """Return one group of measurements: on its segment where there is one, else on the image."""
    from highdicom import sr
    from pydicom.uid import generate_uid

    coded = structure(target)
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(generate_uid(), f"{mask or source.image} {target}"[:64]),
        "measurements": [measurement(quantity(r.quantity), r.value, r.unit, r.uncertainty) for r in rows],
        "finding_type": concept(coded.type),
        "finding_sites": [sr.FindingSite(concept(coded.type), concept(coded.side) if coded.side else None)],
    }
    if segments is not None and target in segments[1]:
        dataset, targets = segments
        _name_segments(dataset)
        referenced = sr.ReferencedSegment.from_segmentation(dataset, segment_number=targets.index(target) + 1)
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=referenced, **common)
    return sr.MeasurementsAndQualitativeEvaluations(
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(source.headers[0])], **common
    )


def _name_segments(dataset: Segmentation) -> None:
    """Say in each frame which segment it shows, in memory: with one segment the file says it once, for all frames."""
    shared = dataset.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        if shared and "SegmentIdentificationSequence" not in frame:
            frame.SegmentIdentificationSequence = shared
