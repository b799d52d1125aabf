"""A comparison for use elsewhere: rows for a table, groups of a DICOM report, FHIR observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.changes import Change, ChangeRow
from tools.exporting.codes import SCHEME, Coding, concept, quantity, structure, unit
from tools.exporting.source import Source

if TYPE_CHECKING:
    from highdicom.sr import Measurement

FIELDS = tuple(name for name in ChangeRow.model_fields if not name.endswith(("_where", "_span")))
STATUS = Coding("CHANGE", SCHEME, "Change since the prior")
PRIOR_SOURCE = Coding("PRIOR_SOURCE", SCHEME, "Prior compared with")
PLUS_MINUS = Coding("371884006", "SCT", "+/-, range of measurement uncertainty")
"""PS3.16, TID 310: the range by which a value may be off to either side."""


def cells(change: Change, row: ChangeRow) -> dict[str, Any]:
    """Return one row of a table: the values, both sources, both dates."""
    dates = {"current_date": change.current_date, "prior_date": change.prior_date}
    return {name: getattr(row, name) for name in FIELDS} | dates


def earlier(name: str) -> Coding:
    """Return the code of a quantity as it was in the prior."""
    return Coding(f"PRIOR_{quantity(name).value}"[:16], SCHEME, f"{quantity(name).meaning} in the prior")


def difference(name: str) -> Coding:
    """Return the code of later minus earlier."""
    return Coding(f"DIFF_{quantity(name).value}"[:16], SCHEME, f"Difference of {quantity(name).meaning} to the prior")


def write_changes(change: Change, source: Source, path: Path, marks: Sequence[str] = ()) -> None:
    """Write a comparison as a TID 1500 report on the current study: values, prior values, differences, verdicts.

    Args:
        change: with at least one row.
        source: the current study's headers.
        path: of the new file.
        marks: of the comparison, such as "synthetic".
    """
    from tools.exporting.structured_report import write_groups

    by_target: dict[str, list[ChangeRow]] = {}
    for row in change.rows:
        by_target.setdefault(row.target, []).append(row)
    groups = [_group(target, rows, change, source) for target, rows in by_target.items()]
    write_groups(groups, source, source.headers, path, marks)


def _group(target: str, rows: Sequence[ChangeRow], change: Change, source: Source) -> Any:
    from highdicom import sr
    from pydicom.uid import generate_uid

    coded = structure(target)
    dated = f" ({change.prior_date})" if change.prior_date else ""
    verdicts = [
        sr.QualitativeEvaluation(concept(STATUS), concept(Coding(status.upper(), SCHEME, status)))
        for status in dict.fromkeys(row.status for row in rows)
    ]
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(generate_uid(), f"{change.current} {target}"[:64]),
        measurements=[m for row in rows for m in _measurements(row)],
        qualitative_evaluations=verdicts,
        finding_type=concept(coded.type),
        finding_sites=[sr.FindingSite(concept(coded.type), concept(coded.side) if coded.side else None)],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(source.headers[0])],
    )
    group[0].ContentSequence.append(
        sr.TextContentItem(
            concept(PRIOR_SOURCE), f"{change.prior}{dated}; {rows[0].rule}", sr.RelationshipTypeValues.CONTAINS
        )
    )
    return group


def _measurements(row: ChangeRow) -> list[Measurement]:
    said = [
        (quantity(row.quantity), row.current, None),
        (earlier(row.quantity), row.prior, None),
        (difference(row.quantity), row.difference, row.uncertainty),
    ]
    return [measurement(code, value, row.unit, spread) for code, value, spread in said if value is not None]


def measurement(name: Coding, value: float, unit_name: str, uncertainty: float | None) -> Measurement:
    """Return a coded value; its ± as the upper and lower range of its uncertainty (PS3.16, TID 310)."""
    from highdicom.sr import Measurement as Coded
    from highdicom.sr import MeasurementProperties

    properties = None
    if uncertainty is not None:
        properties = MeasurementProperties(
            upper_measurement_uncertainty=uncertainty, lower_measurement_uncertainty=uncertainty
        )
    return Coded(name=concept(name), value=value, unit=concept(unit(unit_name)), properties=properties)


def components(row: ChangeRow) -> list[tuple[Coding, float, str]]:
    """Return what stands beside the current value: code, value, unit."""
    said = [
        (earlier(row.quantity), row.prior, row.unit),
        (difference(row.quantity), row.difference, row.unit),
        (Coding("PERCENT", SCHEME, "Change in percent of the prior"), row.percent, "%"),
        (PLUS_MINUS, row.uncertainty, row.unit),
    ]
    return [(code, value, unit_name) for code, value, unit_name in said if value is not None]


def verdict(row: ChangeRow) -> Mapping[str, str]:
    """Return the verdict as FHIR codes it here: no public value set has these four."""
    return {"system": f"urn:readingroom:codes:{SCHEME}", "code": row.status.upper(), "display": row.status}
