"""PDF files with text in them, by pypdf. Scanned pages hold no text and are listed as such."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

from knowledge.errors import BadRecordError, UnavailableError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming
from knowledge.readers.plain_text import report_of_text

_MAX_PAGES = 200
_MAX_CHARS = 5_000_000


def read_pdf(path: Path, source: str) -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each .pdf file of a folder or archive, or of one file."""
    for item in iterate_files(path, suffixes=(".pdf",)):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            yield Incoming(report_of_text(pdf_text(item), item.name, source))
        except BadRecordError as error:
            yield error


def pdf_text(item: NamedBytes) -> str:
    """Return the text of all pages.

    Raises:
        BadRecordError: it is damaged, encrypted, a scan, or longer than a report.
        UnavailableError: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise UnavailableError("pypdf is needed to read PDF; run 'pip install pypdf'") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # what it repairs is reported by what we then find
    try:
        pages = PdfReader(io.BytesIO(item.data)).pages
        if len(pages) > _MAX_PAGES:
            raise BadRecordError(f"{item.name} has {len(pages)} pages; a report may have {_MAX_PAGES}")
        text = "\n".join(page.extract_text() for page in pages)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        raise BadRecordError(f"{item.name} is no readable PDF ({error}); it may be damaged or encrypted") from error
    if len(text) > _MAX_CHARS:
        raise BadRecordError(f"{item.name} holds {len(text)} characters; a report may have {_MAX_CHARS}")
    if not any(character.isalpha() for character in text):
        raise BadRecordError(f"{item.name} holds no text: it is a scan; run text recognition on it first")
    return text
