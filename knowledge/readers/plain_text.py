"""Plain text: one report a file; sections are found by their headings."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from knowledge.errors import BadInputError, BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming, body_part_of, make_id, modality_of, report_from_text
from knowledge.report import Report

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_plain_text(path: Path, source: str, encoding: str = "utf-8") -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each .txt or .md file of a folder or archive, or of one file.

    Args:
        path: where they lie.
        source: name of the collection.
        encoding: of files without a byte order mark.
    """
    for item in iterate_files(path, suffixes=(".txt", ".md", ".text")):
        if isinstance(item, BadRecordError):
            yield item
            continue
        try:
            text = decode(item, encoding)
            yield Incoming(report_of_text(text, item.name, source))
        except BadRecordError as error:
            yield error


def report_of_text(text: str, name: str, source: str) -> Report:
    """Return a text as a report whose id is made from its file's name.

    Raises:
        BadRecordError: it holds no letters.
    """
    if not any(character.isalpha() for character in text):
        raise BadRecordError(f"{name} holds no text")
    start = text[:400]
    return report_from_text(
        text, id=make_id(source, name), source=source, modality=modality_of(start), body_part=body_part_of(start)
    )


def decode(item: NamedBytes, encoding: str = "utf-8") -> str:
    """Return a file's text; a byte order mark beats `encoding`.

    Raises:
        BadInputError: there is no such encoding.
        BadRecordError: the bytes are no text of that encoding.
    """
    actual = next((name for mark, name in _BOMS if item.data.startswith(mark)), encoding)
    try:
        text = item.data.decode(actual)
    except LookupError as error:
        raise BadInputError(f"encoding must be a name Python knows, such as 'cp1252', got {encoding!r}") from error
    except UnicodeDecodeError as error:
        raise BadRecordError(
            f"{item.name} is no {actual} text (byte {error.start}); give its encoding, such as 'cp1252' or 'latin-1'"
        ) from error
    if "\x00" in text:
        raise BadRecordError(f"{item.name} holds zero bytes: it is a binary file or has another encoding than {actual}")
    return text
