"""Word documents (.docx): the text of paragraphs and tables, read as the zip of XML that they are."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from knowledge.errors import BadRecordError
from knowledge.readers.archive import MAX_RECORD_BYTES, NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming
from knowledge.readers.plain_text import report_of_text
from knowledge.readers.safe_xml import parse_xml

_BODY = "word/document.xml"


def read_docx(path: Path, source: str) -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each .docx file of a folder or archive, or of one file."""
    for item in iterate_files(path, suffixes=(".docx",)):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            yield Incoming(report_of_text(docx_text(item), item.name, source))
        except BadRecordError as error:
            yield error


def docx_text(item: NamedBytes) -> str:
    """Return a document's text, a line a paragraph.

    Raises:
        BadRecordError: it is no Word document, damaged, or unpacks to more than a report can hold.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(item.data)) as archive, archive.open(_BODY) as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, RuntimeError, OSError, EOFError, zlib.error) as error:
        raise BadRecordError(f"{item.name} is no readable Word document ({error})") from error
    if len(data) > MAX_RECORD_BYTES:
        raise BadRecordError(f"{item.name} unpacks to more than {MAX_RECORD_BYTES / 1e6:.0f} MB: no report, not read")
    root = parse_xml(NamedBytes(f"{item.name} {_BODY}", data))
    return "\n".join("".join(_runs(node)) for node in root.iter() if _local(node) == "p")


def _runs(paragraph: Element) -> Iterator[str]:
    for node in paragraph.iter():
        name = _local(node)
        if name == "t":
            yield node.text or ""
        elif name in {"br", "cr"}:
            yield "\n"
        elif name == "tab":
            yield "\t"


def _local(node: Element) -> str:
    return node.tag.rpartition(":")[2].rpartition("}")[2]
