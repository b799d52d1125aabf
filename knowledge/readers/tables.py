"""CSV, TSV and JSON Lines with a mapping from a report's fields to columns."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from knowledge.errors import BadInputError, BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming, body_part_of, make_id, modality_of, parse_date, report_from_parts
from knowledge.readers.plain_text import decode

_MAX_CELL_CHARS = 10_000_000
_SECTIONS = ("findings", "impression", "indication", "comparison", "history", "technique")


class Columns(BaseModel):
    """Which column holds which field of a report; `text` or at least one section must be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = Field(default=None, description="a report's own id; without it one is made from the row's content")
    text: str | None = Field(default=None, description="the whole report; its sections are found by their headings")
    findings: str | None = None
    impression: str | None = None
    indication: str | None = None
    comparison: str | None = None
    history: str | None = None
    technique: str | None = None
    title: str | None = None
    modality: str | None = None
    body_part: str | None = None
    study_date: str | None = Field(default=None, description="2026-11-23 or 20261123")
    patient: str | None = None
    patient_name: str | None = Field(default=None, description="only used to mask the name in the text")

    def mapped(self) -> dict[str, str]:
        """Return field → column for those given."""
        return {field: column for field, column in self.model_dump().items() if column is not None}


def parse_columns(pairs: Mapping[str, str]) -> Columns:
    """Return a mapping given as field → column.

    Raises:
        BadInputError: a field is unknown, or no field holds text.
    """
    try:
        columns = Columns.model_validate(dict(pairs))
    except ValidationError as error:
        fields = ", ".join(Columns.model_fields)
        raise BadInputError(f"columns must map fields ({fields}) to columns, got {', '.join(pairs)}") from error
    if columns.text is None and not any(getattr(columns, name) for name in _SECTIONS):
        raise BadInputError(f"columns must say where 'text' or one of {', '.join(_SECTIONS)} is, got {dict(pairs)}")
    return columns


def read_table(
    path: Path, source: str, columns: Columns, encoding: str = "utf-8"
) -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each row of CSV, TSV or JSON Lines files.

    Args:
        path: a file, folder or archive.
        source: name of the collection.
        columns: where the fields are.
        encoding: of the files.

    Raises:
        BadInputError: a file lacks a mapped column.
    """
    for item in iterate_files(path, suffixes=(".csv", ".tsv", ".jsonl", ".ndjson")):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            text = decode(item, encoding)
        except BadRecordError as error:
            yield error
            continue
        yield from _rows(item, text, source, columns)


def _rows(item: NamedBytes, text: str, source: str, columns: Columns) -> Iterator[Incoming | BadRecordError]:
    rows = (
        _json_rows(item, text) if item.name.lower().endswith((".jsonl", ".ndjson")) else _csv_rows(item, text, columns)
    )
    for number, row in rows:
        if isinstance(row, BadRecordError):
            yield row
            continue
        try:
            yield _incoming(f"{item.name} row {number}", row, source, columns)
        except BadRecordError as error:
            yield error


def _csv_rows(item: NamedBytes, text: str, columns: Columns) -> Iterator[tuple[int, dict[str, str] | BadRecordError]]:
    csv.field_size_limit(_MAX_CELL_CHARS)
    delimiter = "\t" if item.name.lower().endswith(".tsv") else _delimiter(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    missing = [column for column in columns.mapped().values() if column not in header]
    if missing:
        raise BadInputError(
            f"{item.name} must have column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, header)) or 'none'}"
        )
    try:
        for number, row in enumerate(reader, 2):
            if None in row:
                yield (
                    number,
                    BadRecordError(f"{item.name} row {number} has more cells than the header: check its quotes"),
                )
            else:
                yield number, {key: value or "" for key, value in row.items()}
    except csv.Error as error:
        yield 0, BadRecordError(f"{item.name} line {reader.line_num}: {error}; the rest of the file was not read")


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max((",", ";", "\t", "|"), key=first.count)


def _json_rows(item: NamedBytes, text: str) -> Iterator[tuple[int, dict[str, str] | BadRecordError]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            yield number, BadRecordError(f"{item.name} row {number} is no JSON ({error})")
            continue
        if not isinstance(value, dict):
            yield number, BadRecordError(f"{item.name} row {number} must be a JSON object, got {type(value).__name__}")
        else:
            yield number, {str(key): "" if cell is None else str(cell) for key, cell in value.items()}


def _incoming(where: str, row: dict[str, str], source: str, columns: Columns) -> Incoming:
    mapped = columns.mapped()
    missing = [column for column in mapped.values() if column not in row]
    if missing:
        raise BadRecordError(f"{where} lacks {', '.join(map(repr, missing))}")
    cells = {field: row[column].strip() for field, column in mapped.items()}
    parts = [("body", cells.get("text", "")), *((name, cells.get(name, "")) for name in _SECTIONS)]
    if not any(text for _, text in parts):
        raise BadRecordError(f"{where} holds no report text")
    name = cells.get("id") or make_id(source, repr(sorted(cells.items())))
    try:
        report = report_from_parts(
            parts,
            id=name,
            source=source,
            title=cells.get("title", ""),
            modality=cells.get("modality") or modality_of(cells.get("title")),
            body_part=cells.get("body_part") or body_part_of(cells.get("title")),
            study_date=_date(where, cells.get("study_date")),
            patient=cells.get("patient") or None,
        )
    except ValidationError as error:
        raise BadRecordError(
            f"{where}: id {name!r} must have no blank, bracket, @ or # and at most 200 characters"
        ) from error
    return Incoming(report, tuple(filter(None, (cells.get("patient_name"), cells.get("patient")))))


def _date(where: str, text: str | None) -> date | None:
    if not text:
        return None
    found = parse_date(text)
    if found is None:
        raise BadRecordError(f"{where}: study_date must look like 2026-11-23 or 20261123, got {text!r}")
    return found
