"""Files of a folder, a zip or a tar, one after the other, within limits that a zip bomb can't pass."""

import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from knowledge.errors import BadInputError, BadRecordError, NotFoundError

MAX_RECORD_BYTES = 50_000_000
"""A larger file is no report; it is listed as bad and skipped."""
MAX_ARCHIVE_BYTES = 4_000_000_000
"""What an archive may hold in all once unpacked."""


@dataclass(frozen=True)
class NamedBytes:
    """A file's content and the name to use in messages and ids."""

    name: str
    data: bytes


def iterate_files(path: Path, suffixes: tuple[str, ...]) -> Iterator[NamedBytes | BadRecordError]:
    """Yield the files with one of these suffixes, sorted by name with numbers in order.

    A file that is too large or can't be read is yielded as the error that says so.

    Args:
        path: a folder, a .zip, a .tar, .tar.gz or .tgz, or one file.
        suffixes: lower case, with the dot; one file given by itself may have any suffix.

    Raises:
        NotFoundError: there is no such path.
        BadInputError: the archive is damaged, or larger unpacked than `MAX_ARCHIVE_BYTES`.
    """
    if not path.exists():
        raise NotFoundError(f"path must be a file or folder, {path} does not exist")
    if path.is_dir():
        yield from _from_folder(path, suffixes)
    elif zipfile.is_zipfile(path) and path.suffix.lower() != ".docx":
        yield from _from_zip(path, suffixes)
    elif path.suffix.lower() in {".tgz", ".tar", ".gz"}:
        yield from _from_tar(path, suffixes)
    else:
        yield _read_file(path, path.name)


def read_bounded(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        BadRecordError: it is larger than `MAX_RECORD_BYTES`, or can't be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_RECORD_BYTES:
            raise _too_large(path.name, size)
        return path.read_bytes()
    except OSError as error:
        raise BadRecordError(f"{path.name} can't be read ({error.strerror or error})") from error


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which "9.xml" comes before "10.xml"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _too_large(name: str, size: int) -> BadRecordError:
    return BadRecordError(
        f"{name} is {size / 1e6:.0f} MB; a report may have {MAX_RECORD_BYTES / 1e6:.0f} MB: "
        "split it if it holds several"
    )


def _from_folder(folder: Path, suffixes: tuple[str, ...]) -> Iterator[NamedBytes | BadRecordError]:
    for path in sorted(folder.rglob("*"), key=lambda found: natural_key(str(found))):
        if path.suffix.lower() in suffixes and path.is_file():
            yield _read_file(path, str(path.relative_to(folder)))


def _read_file(path: Path, name: str) -> NamedBytes | BadRecordError:
    try:
        return NamedBytes(name, read_bounded(path))
    except BadRecordError as error:
        return error


def _from_zip(path: Path, suffixes: tuple[str, ...]) -> Iterator[NamedBytes | BadRecordError]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.lower().endswith(suffixes)]
            _check_total(path, sum(info.file_size for info in members))
            for info in sorted(members, key=lambda found: natural_key(found.filename)):
                with archive.open(info) as stream:
                    yield _read_stream(stream, info.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise BadInputError(
            f"{path.name} must be a readable zip archive; it is damaged or encrypted ({error})"
        ) from error


def _from_tar(path: Path, suffixes: tuple[str, ...]) -> Iterator[NamedBytes | BadRecordError]:
    try:
        with tarfile.open(path, mode="r:*") as archive:
            members = [info for info in archive if info.isfile() and info.name.lower().endswith(suffixes)]
            _check_total(path, sum(info.size for info in members))
            found = {info.name: _read_member(archive, info) for info in members}
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise BadInputError(f"{path.name} must be a readable tar archive; it is damaged ({error})") from error
    for name in sorted(found, key=natural_key):
        yield found[name]


def _read_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> NamedBytes | BadRecordError:
    stream = archive.extractfile(info)
    return NamedBytes(info.name, b"") if stream is None else _read_stream(stream, info.name)


def _read_stream(stream: IO[bytes], name: str) -> NamedBytes | BadRecordError:
    data = stream.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        return _too_large(name, len(data))
    return NamedBytes(name, data)


def _check_total(path: Path, total: int) -> None:
    if total > MAX_ARCHIVE_BYTES:
        raise BadInputError(
            f"{path.name} would unpack to {total / 1e9:.1f} GB; an archive may hold {MAX_ARCHIVE_BYTES / 1e9:.0f} GB: "
            "unpack it yourself and give the folder if you trust it"
        )


def count_files(path: Path, suffixes: tuple[str, ...]) -> tuple[set[str], int]:
    """Return which of these suffixes occur in a folder or archive, and how many files have one.

    Args:
        path: a folder, archive or file; a file alone counts whatever its suffix is.
        suffixes: lower case, with the dot.

    Raises:
        NotFoundError: there is no such path.
        BadInputError: the archive is damaged.
    """
    if not path.exists():
        raise NotFoundError(f"path must be a file or folder, {path} does not exist")
    try:
        names = _names(path)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise BadInputError(f"{path.name} must be a readable archive; it is damaged ({error})") from error
    found = [Path(name).suffix.lower() for name in names if name.lower().endswith(suffixes)]
    return set(found), len(found)


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return [str(found) for found in path.rglob("*") if found.is_file()]
    if zipfile.is_zipfile(path) and path.suffix.lower() != ".docx":
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    if path.suffix.lower() in {".tgz", ".tar", ".gz"}:
        with tarfile.open(path, mode="r:*") as packed:
            return packed.getnames()
    return [path.name]
