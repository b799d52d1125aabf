"""FHIR R4: DiagnosticReport resources, alone, in a Bundle, or one a line (NDJSON)."""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from knowledge.errors import BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming, body_part_of, make_id, modality_of, parse_date, report_from_parts
from knowledge.readers.pdf import pdf_text
from knowledge.readers.plain_text import decode

Resource: TypeAlias = dict[str, Any]
_TAG = re.compile(r"<[^>]{0,2000}>")
_BLOCK_END = re.compile(r"</(?:p|div|li|tr|h\d)>|<br\s*/?>", re.IGNORECASE)


def read_fhir(path: Path, source: str) -> Iterator[Incoming | BadRecordError]:
    """Yield each DiagnosticReport of .json and .ndjson files."""
    for item in iterate_files(path, suffixes=(".json", ".ndjson")):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            documents = list(_documents(item))
        except BadRecordError as error:
            yield error
            continue
        found = [resource for document in documents for resource in _reports(document)]
        if not found:
            yield BadRecordError(f"{item.name} holds no FHIR DiagnosticReport")
        others = {key: value for document in documents for key, value in _by_reference(document).items()}
        for resource in found:
            yield _one(item.name, resource, others, source)


def _documents(item: NamedBytes) -> Iterator[Resource]:
    text = decode(item)
    chunks = [line for line in text.splitlines() if line.strip()] if item.name.lower().endswith(".ndjson") else [text]
    for chunk in chunks:
        try:
            value = json.loads(chunk)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadRecordError(f"{item.name} is no JSON ({error}); it may be truncated") from error
        if not isinstance(value, dict):
            raise BadRecordError(f"{item.name} must hold a FHIR resource, got {type(value).__name__}")
        yield value


def _entries(document: Resource) -> list[Resource]:
    entries = document.get("entry") if document.get("resourceType") == "Bundle" else None
    if not isinstance(entries, list):
        return [document]
    return [
        entry["resource"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]


def _reports(document: Resource) -> list[Resource]:
    return [resource for resource in _entries(document) if resource.get("resourceType") == "DiagnosticReport"]


def _by_reference(document: Resource) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for resource in _entries(document):
        found[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
        for inner in resource.get("contained") or []:
            if isinstance(inner, dict):
                found[f"#{inner.get('id')}"] = inner
    return found


def _one(where: str, resource: Resource, others: dict[str, Resource], source: str) -> Incoming | BadRecordError:
    try:
        return _incoming(where, resource, others, source)
    except BadRecordError as error:
        return error
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        return BadRecordError(
            f"{where}: DiagnosticReport {resource.get('id')!r} does not have the shape of FHIR R4 ({error})"
        )


def _incoming(where: str, resource: Resource, others: dict[str, Resource], source: str) -> Incoming:
    parts = list(_parts(where, resource, others))
    if not any(text.strip() for _, text in parts):
        raise BadRecordError(f"{where}: DiagnosticReport {resource.get('id')!r} holds no text")
    title = _code_text(resource.get("code"))
    subject = resource.get("subject") or {}
    patient = others.get(str(subject.get("reference")), {})
    key = str(resource.get("id") or resource.get("identifier") or parts)
    report = report_from_parts(
        parts,
        id=make_id(source, key),
        source=source,
        title=title,
        modality=modality_of(title),
        body_part=body_part_of(title),
        study_date=parse_date(
            resource.get("effectiveDateTime") or (resource.get("effectivePeriod") or {}).get("start")
        ),
        patient=subject.get("reference"),
    )
    return Incoming(report, tuple(_identifiers(subject, patient)))


def _parts(where: str, resource: Resource, others: dict[str, Resource]) -> Iterator[tuple[str, str]]:
    forms = [_form_text(where, form) for form in resource.get("presentedForm") or []]
    yield from (("body", text) for text in forms)
    if not any(forms):
        yield "body", _strip_markup((resource.get("text") or {}).get("div") or "")
    for reference in resource.get("result") or []:
        observation = others.get(str(reference.get("reference")), {})
        value = observation.get("valueString") or _code_text(observation.get("valueCodeableConcept"))
        if value:
            yield "findings", f"{_code_text(observation.get('code'))}: {value}".lstrip(": ")
    if resource.get("conclusion"):
        yield "impression", str(resource["conclusion"])


def _form_text(where: str, form: Resource) -> str:
    if not form.get("data"):
        return ""
    try:
        data = base64.b64decode(form["data"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecordError(f"{where}: presentedForm is no base64 ({error})") from error
    kind = str(form.get("contentType", "text/plain")).split(";")[0]
    item = NamedBytes(f"{where} presentedForm", data)
    if kind == "application/pdf":
        return pdf_text(item)
    text = decode(item)
    return _strip_markup(text) if kind in {"text/html", "application/xhtml+xml"} else text


def _strip_markup(text: str) -> str:
    return html.unescape(_TAG.sub(" ", _BLOCK_END.sub("\n", text))).strip()


def _code_text(code: Resource | None) -> str:
    if not code:
        return ""
    codings = code.get("coding") or [{}]
    return str(code.get("text") or codings[0].get("display") or "")


def _identifiers(subject: Resource, patient: Resource) -> Iterator[str]:
    if subject.get("display"):
        yield str(subject["display"])
    for name in patient.get("name") or []:
        yield " ".join([*map(str, name.get("given") or []), str(name.get("family") or "")]).strip()
    for identifier in patient.get("identifier") or []:
        if identifier.get("value"):
            yield str(identifier["value"])
