"""DICOM structured reports: Basic Text, Enhanced, Comprehensive and TID 1500 measurement reports."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.errors import BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming, body_part_of, make_id, modality_of, parse_date, report_from_parts
from knowledge.sentences import section_name

if TYPE_CHECKING:
    from pydicom import Dataset

_SR_CLASS = "1.2.840.10008.5.1.4.1.1.88."
_MAX_DEPTH = 40


def read_dicom_sr(path: Path, source: str) -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each DICOM SR file of a folder or archive, or of one file."""
    for item in iterate_files(path, suffixes=(".dcm", ".sr", ".dicom")):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            yield _incoming(item, source)
        except BadRecordError as error:
            yield error


def _incoming(item: NamedBytes, source: str) -> Incoming:
    dataset = _read(item)
    parts = list(_merge(_walk(dataset, "body", 0)))
    if not any(text.strip() for _, text in parts):
        raise BadRecordError(f"{item.name} is a DICOM SR without text or measurements")
    title = _meaning(dataset, "ConceptNameCodeSequence") or str(dataset.get("StudyDescription", ""))
    study = str(dataset.get("StudyDescription", ""))
    report = report_from_parts(
        parts,
        id=make_id(source, str(dataset.SOPInstanceUID)),
        source=source,
        title=title,
        modality=modality_of(study, title),
        body_part=body_part_of(study, title),
        study_date=parse_date(str(dataset.get("StudyDate", ""))),
        patient=str(dataset.get("PatientID", "")) or None,
    )
    named = [str(dataset.get(key, "")) for key in ("PatientName", "ReferringPhysicianName", "PhysiciansOfRecord")]
    spoken = [name.replace("^", " ").strip() for name in named]
    numbers = [str(dataset.get(key, "")) for key in ("PatientID", "AccessionNumber", "PatientBirthDate")]
    return Incoming(report, tuple(filter(None, [*spoken, *numbers])))


def _read(item: NamedBytes) -> "Dataset":
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        dataset = pydicom.dcmread(io.BytesIO(item.data))
        kind = str(dataset.get("SOPClassUID", ""))
    except (InvalidDicomError, ValueError, EOFError, OSError, AttributeError, NotImplementedError, KeyError) as error:
        raise BadRecordError(f"{item.name} is no readable DICOM file ({error}); it may be truncated") from error
    if not kind.startswith(_SR_CLASS):
        raise BadRecordError(f"{item.name} must be a DICOM structured report, its SOP class is {kind or 'missing'}")
    return dataset


def _walk(node: "Dataset", section: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _MAX_DEPTH:
        raise BadRecordError(f"DICOM SR content is nested deeper than {_MAX_DEPTH} levels")
    for child in node.get("ContentSequence", None) or []:
        name = _meaning(child, "ConceptNameCodeSequence")
        kind = str(child.get("ValueType", ""))
        inner = section
        if kind in {"CONTAINER", "TEXT"}:
            inner = section_name(name) or section
        text = _text(child, kind, name, is_heading=section_name(name) is not None)
        if text:
            yield inner, text
        yield from _walk(child, inner, depth + 1)


def _text(child: "Dataset", kind: str, name: str, *, is_heading: bool) -> str:
    prefix = f"{name}: " if name and not is_heading else ""
    if kind == "TEXT":
        return f"{prefix}{child.get('TextValue', '')}" if is_heading or name else str(child.get("TextValue", ""))
    if kind == "CODE" and str(child.get("RelationshipType", "")) == "CONTAINS":
        value = _meaning(child, "ConceptCodeSequence")
        return f"{prefix}{value}." if value else ""
    if kind == "NUM":
        measured = child.get("MeasuredValueSequence", None) or []
        if not measured:
            return ""
        unit = _meaning(measured[0], "MeasurementUnitsCodeSequence", "CodeValue")
        return f"{prefix}{measured[0].get('NumericValue', '')} {unit}."
    return ""


def _meaning(node: "Dataset", keyword: str, attribute: str = "CodeMeaning") -> str:
    sequence = node.get(keyword, None) or []
    return str(sequence[0].get(attribute, "")) if sequence else ""


def _merge(parts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    current, lines = "", list[str]()
    for name, text in parts:
        if name != current and lines:
            yield current, "\n".join(lines)
            lines = []
        current = name
        lines.append(text)
    if lines:
        yield current, "\n".join(lines)
