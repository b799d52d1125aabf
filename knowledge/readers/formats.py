"""Every format under one door: which reader a path needs, and how many records it holds."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from knowledge.errors import BadInputError, BadRecordError
from knowledge.readers.archive import count_files
from knowledge.readers.dicom_sr import read_dicom_sr
from knowledge.readers.docx import read_docx
from knowledge.readers.export import read_export
from knowledge.readers.fhir import read_fhir
from knowledge.readers.hl7 import read_hl7
from knowledge.readers.incoming import Incoming
from knowledge.readers.openi import read_openi
from knowledge.readers.pdf import read_pdf
from knowledge.readers.plain_text import read_plain_text
from knowledge.readers.tables import parse_columns, read_table
from knowledge.report import Report

Record = Report | Incoming | BadRecordError

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "openi": (".xml",),
    "text": (".txt", ".md", ".text"),
    "table": (".csv", ".tsv", ".jsonl"),
    "dicom-sr": (".dcm", ".sr", ".dicom"),
    "fhir": (".json", ".ndjson"),
    "hl7": (".hl7", ".oru"),
    "docx": (".docx",),
    "pdf": (".pdf",),
    "export": (),
}
FORMATS = tuple(_SUFFIXES)


def read_reports(
    path: Path,
    *,
    source: str | None = None,
    format_name: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> tuple[Iterator[Record], int | None]:
    """Return the records of a file, folder or archive, and how many there are where that is known beforehand.

    Args:
        path: what to read.
        source: name of the collection; None: the file's or folder's name ("openi" for Open-i).
        format_name: one of `FORMATS`; None: by the suffix of the files. "export" is what `write_export` wrote.
        columns: field → column, for CSV and JSON Lines.
        encoding: of text and tables.

    Raises:
        NotFoundError: there is no such path.
        BadInputError: the format can't be told, is unknown, or a table comes without columns.
    """
    found, count = count_files(path, tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes))
    name = format_name or _format_of(path, found)
    if name not in _SUFFIXES:
        raise BadInputError(f"format must be one of {', '.join(FORMATS)}; got {name!r}")
    label = source or path.name.split(".")[0] or "reports"
    if name == "table":
        if columns is None:
            raise BadInputError(
                "columns must say which column holds what, such as text=report_text, for CSV and JSON Lines"
            )
        return read_table(path, label, parse_columns(columns), encoding), None
    readers: dict[str, Callable[[], Iterator[Record]]] = {
        "openi": lambda: iter(read_openi(path)),
        "text": lambda: iter(read_plain_text(path, label, encoding)),
        "dicom-sr": lambda: iter(read_dicom_sr(path, label)),
        "fhir": lambda: iter(read_fhir(path, label)),
        "hl7": lambda: iter(read_hl7(path, label)),
        "docx": lambda: iter(read_docx(path, label)),
        "pdf": lambda: iter(read_pdf(path, label)),
        "export": lambda: iter(read_export(path)),
    }
    return readers[name](), count if name in {"openi", "text", "dicom-sr", "docx", "pdf"} else None


def _format_of(path: Path, suffixes: set[str]) -> str:
    names = [name for name, own in _SUFFIXES.items() if suffixes & set(own)]
    if len(names) != 1:
        what = f"several formats ({', '.join(names)})" if names else "no file of a known format"
        raise BadInputError(f"{path} holds {what}; give the format: one of {', '.join(FORMATS)}")
    return names[0]
