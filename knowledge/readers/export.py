"""A store's reports as JSON Lines, to take them elsewhere and to read them back."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from knowledge.errors import BadRecordError, UnavailableError
from knowledge.readers.archive import iterate_files
from knowledge.readers.plain_text import decode
from knowledge.report import Report


def write_export(reports: Iterable[Report], path: Path) -> int:
    """Write reports as JSON Lines, whole or not at all, and return how many.

    Raises:
        UnavailableError: the file can't be written.
    """
    count = 0
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as stream:
            temporary = Path(stream.name)
            for report in reports:
                stream.write(report.model_dump_json() + "\n")
                count += 1
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"export {path} can't be written ({error.strerror or error}); free space or choose another"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return count


def read_export(path: Path) -> Iterator[Report | BadRecordError]:
    """Yield the reports of an export, and the reason where a line is none."""
    for item in iterate_files(path, suffixes=(".jsonl",)):
        if isinstance(item, BadRecordError):
            yield item
            continue
        for number, line in enumerate(decode(item).splitlines(), 1):
            try:
                yield Report.model_validate_json(line)
            except ValidationError as error:
                yield BadRecordError(f"{item.name} line {number} is no exported report ({error.errors()[0]['msg']})")
