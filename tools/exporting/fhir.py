"""A draft as a FHIR R4 DiagnosticReport, measurements as Observations, images as an ImagingStudy, in one Bundle.

Ids are local (urn:uuid), the status is always preliminary, and no patient data is copied: the receiving system links
the patient.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tools.changes import Change, ChangeRow
from tools.claims import readable
from tools.errors import UnsupportedError
from tools.exporting.changes import PLUS_MINUS, components, verdict
from tools.exporting.codes import Coding, concept_uri, quantity, structure, unit
from tools.results import Claim, Draft, Measurement, Measurements
from tools.verbs.draft_markdown import NOTICE
from tools.workspace import Artifact, Workspace

_REPORT = Coding("18748-4", "LN", "Diagnostic imaging report")
_NAMESPACE = uuid.UUID("5f3f7f52-9d0a-5c36-9a5d-7f3b0c6d2f10")  # ours, so that the same result gets the same id again


def bundle_of(workspace: Workspace, artifact: Artifact) -> dict[str, Any]:
    """Return a draft or a table of measurements as a FHIR Bundle of type collection.

    Raises:
        UnsupportedError: another kind of result.
    """
    if artifact.kind == "measurements":
        rows = Measurements.model_validate(artifact.data).rows
        studies = _studies(workspace, (row.image for row in rows))
        entries = [*studies.values(), *_observations(workspace, artifact, rows, studies)]
        return _bundle(entries)
    if artifact.kind == "change":
        change = Change.model_validate(artifact.data)
        studies = _studies(workspace, (i for i in (change.current, change.prior) if workspace.kind_of(i) == "image"))
        return _bundle([*studies.values(), *_changes(workspace, artifact, change, studies)])
    if artifact.kind != "report":
        raise UnsupportedError(
            f"{artifact.id} is of kind {artifact.kind}; fhir holds reports, measurements and comparisons: choose json"
        )
    draft = Draft.model_validate(artifact.data)
    cited = dict.fromkeys(i for claim in draft.claims() for i in claim.evidence)
    tables = [workspace.artifact(i) for i in cited if i.startswith("s") and workspace.has_artifact(i)]
    tables = [table for table in tables if table.kind == "measurements"]
    images = [i for i in cited if i.startswith("img")]
    images += [row.image for table in tables for row in Measurements.model_validate(table.data).rows]
    studies = _studies(workspace, images)
    observations = [
        observation
        for table in tables
        for observation in _observations(workspace, table, Measurements.model_validate(table.data).rows, studies)
    ]
    return _bundle([_report(workspace, artifact, draft, observations, studies), *observations, *studies.values()])


def _bundle(resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": dict(resource)} for resource in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _id(workspace: Workspace, *parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join((workspace.root.name, *parts))))


def _reference(resource: Mapping[str, Any]) -> dict[str, str]:
    return {"reference": f"urn:uuid:{resource['id']}", "type": str(resource["resourceType"])}


def _concept(coding: Coding, text: str = "") -> dict[str, Any]:
    coded = {"system": concept_uri(coding.scheme), "code": coding.value, "display": coding.meaning}
    return {"coding": [coded], "text": text or coding.meaning}


def _report(
    workspace: Workspace,
    artifact: Artifact,
    draft: Draft,
    observations: Sequence[Mapping[str, Any]],
    studies: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    impression = " ".join(claim.shown for claim in draft.impression)
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": _id(workspace, artifact.id),
        "meta": {"tag": _tags(artifact.marks)},
        "text": {"status": "generated", "div": _narrative(draft)},
        "status": "preliminary",
        "category": [{"coding": [_category("RAD", "Radiology")]}],
        "code": _concept(_REPORT),
        "result": [_reference(o) for o in observations],
        "imagingStudy": [_reference(s) for s in studies.values()],
    }
    if impression:
        report["conclusion"] = impression
    return {key: value for key, value in report.items() if value != []}


def _tags(marks: Iterable[str]) -> list[dict[str, str]]:
    own = "urn:readingroom:marks"
    return [
        {"system": own, "code": "research-use", "display": NOTICE},
        *({"system": own, "code": mark, "display": mark} for mark in marks),
    ]


def _category(code: str, display: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": code, "display": display}


def _narrative(draft: Draft) -> str:
    parts = [f"<p>{escape(NOTICE)}</p>"]
    for title, claims in (
        ("Technique", draft.technique),
        ("Findings", draft.findings),
        ("Impression", draft.impression),
        ("Similar reports (other patients)", draft.similar),
        ("Limitations", draft.limitations),
    ):
        if claims:
            items = "".join(f"<li>{escape(_cited(claim))}</li>" for claim in claims)
            parts.append(f"<h2>{title}</h2><ul>{items}</ul>")
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(parts)}</div>'


def _cited(claim: Claim) -> str:
    return claim.shown + "".join(f" [{i}]" for i in claim.evidence)


def _observations(
    workspace: Workspace, table: Artifact, rows: Sequence[Measurement], studies: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    found = []
    for number, row in enumerate(rows):
        observation = {
            **_observation(workspace, table, number, row),
            "valueQuantity": _quantity(row.value, row.unit),
            "method": {"text": row.method or "not said"},
            "note": [{"text": _spacing_note(row)}],
        }
        if row.uncertainty is not None:
            observation["component"] = [_component(PLUS_MINUS, row.uncertainty, row.unit)]
        if row.image in studies:
            observation["derivedFrom"] = [_reference(studies[row.image])]
        found.append(observation)
    return found


def _observation(workspace: Workspace, table: Artifact, number: int, row: Measurement | ChangeRow) -> dict[str, Any]:
    """Return what the observations of measurements and of changes have in common."""
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    coded = structure(row.target)
    side = f" ({coded.side.meaning.lower()})" if coded.side else ""
    return {
        "resourceType": "Observation",
        "id": _id(workspace, table.id, str(number)),
        "meta": {"tag": _tags(table.marks)},
        "status": "preliminary",
        "category": [{"coding": [{"system": system, "code": "imaging", "display": "Imaging"}]}],
        "code": _concept(quantity(row.quantity), f"{row.quantity.replace('_', ' ')} of the {readable(row.target)}"),
        "bodySite": _concept(coded.type, f"{coded.type.meaning}{side}"),
    }


def _changes(
    workspace: Workspace, table: Artifact, change: Change, studies: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return an Observation a row: today's value, and as components the prior's, the difference and its ±."""
    dated = f" of {change.prior_date}" if change.prior_date else ""
    found = []
    for number, row in enumerate(change.rows):
        observation = {
            **_observation(workspace, table, number, row),
            "interpretation": [{"coding": [dict(verdict(row))], "text": row.status}],
            "note": [{"text": f"{row.current_source} against {row.prior_source}{dated}; {row.rule}."}],
            "component": [_component(*part) for part in components(row)],
            "derivedFrom": [_reference(study) for study in studies.values()],
        }
        if row.current is not None:
            observation["valueQuantity"] = _quantity(row.current, row.unit)
        found.append({key: value for key, value in observation.items() if value != []})
    return found


def _component(code: Coding, value: float, unit_name: str) -> dict[str, Any]:
    return {"code": _concept(code), "valueQuantity": _quantity(value, unit_name)}


def _quantity(number: float, unit_name: str) -> dict[str, Any]:
    value: dict[str, Any] = {"value": number}
    if unit_name:
        value |= {"unit": unit_name, "system": "http://unitsofmeasure.org", "code": unit(unit_name).value}
    return value


def _spacing_note(row: Measurement) -> str:
    spacing = f"millimetres from {row.spacing_source}" if row.spacing_source else "no millimetres involved"
    return f"Measured on mask {row.mask or 'none'} of image {row.image}; {spacing}."


def _studies(workspace: Workspace, images: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return one ImagingStudy per DICOM image, attached or a clean copy; another has no study to point at."""
    found: dict[str, dict[str, Any]] = {}
    for image in dict.fromkeys(images):
        headers, _ = workspace.dicom_headers(image)
        if not headers or not headers[0].get("StudyInstanceUID"):
            continue
        first = headers[0]
        instances = [{"uid": str(h.SOPInstanceUID), "sopClass": _sop_class(str(h.SOPClassUID))} for h in headers]
        modality = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": str(first.Modality)}
        found[image] = {
            "resourceType": "ImagingStudy",
            "id": _id(workspace, image),
            "meta": {"tag": _tags(workspace.marks_of(image))},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{first.StudyInstanceUID}"}],
            "status": "available",
            "subject": {"display": "the patient of this study; identity not copied"},
            "modality": [modality],
            "numberOfSeries": 1,
            "numberOfInstances": len(headers),
            "series": [
                {
                    "uid": str(first.SeriesInstanceUID),
                    "modality": modality,
                    "numberOfInstances": len(headers),
                    "instance": instances,
                }
            ],
        }
    return found


def _sop_class(uid: str) -> dict[str, str]:
    return {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{uid}"}
