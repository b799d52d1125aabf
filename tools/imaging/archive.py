"""Unpacking a zip that somebody sent, without letting it write elsewhere or fill the disk."""

from __future__ import annotations

import errno
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.imaging.reasons import one_line

MAX_MEMBERS = 20_000
"""Files in an archive; a large study has a few thousand slices."""
MAX_TOTAL_BYTES = 8 * 2**30
"""Bytes after unpacking, all members together."""
MAX_RATIO = 200
"""Unpacked over packed bytes of one member; CT slices reach about 10, blank ones a few hundred at small size."""
RATIO_COUNTS_FROM_BYTES = 32 * 2**20
"""Members smaller than this may compress as well as they like."""


def extract_zip(archive: Path, folder: Path) -> int:
    """Unpack the files of a zip archive into an empty folder and return how many they are.

    Members land in one flat folder as a number and their plain base name, so that no path of the archive is followed.
    Hidden members (macOS resource forks) are left out.

    Args:
        archive: the zip file.
        folder: an existing, empty folder.

    Raises:
        BadInputError: damaged, encrypted, or a member that points outside the archive or is a link.
        UnsupportedError: more members, bytes or compression than the limits of this module.
        UnavailableError: the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = [member for member in source.infolist() if not (member.is_dir() or _is_hidden(member))]
            _require_sane(members, archive.name)
            for number, member in enumerate(members):
                with source.open(member) as packed, (folder / _plain_name(number, member)).open("wb") as out:
                    shutil.copyfileobj(packed, out, 2**20)  # zipfile stops at the declared size and checks the CRC
            return len(members)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, IndexError) as error:
        raise BadInputError(f"{archive.name!r} is a damaged zip file ({one_line(error)}): make it again") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UnavailableError(f"disk full while unpacking {archive.name!r}: free some space") from error
        raise BadInputError(f"{archive.name!r} could not be unpacked ({error.strerror or error})") from error


def _require_sane(members: list[zipfile.ZipInfo], name: str) -> None:
    if not members:
        raise BadInputError(f"{name!r} is an empty zip file: attach one with a DICOM series inside")
    if len(members) > MAX_MEMBERS:
        raise UnsupportedError(f"{name!r} holds {len(members)} files, more than {MAX_MEMBERS}: zip one study only")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise UnsupportedError(
            f"{name!r} unpacks to {total / 2**30:.1f} GiB, more than {MAX_TOTAL_BYTES / 2**30:.0f}: zip one series only"
        )
    for member in members:
        _require_safe(member, name)


def _require_safe(member: zipfile.ZipInfo, name: str) -> None:
    inside = PurePosixPath(member.filename.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or inside.parts[:1] == () or inside.parts[0].endswith(":"):
        raise BadInputError(f"{name!r} has a member that points outside the archive: it was not unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInputError(f"{name!r} has a member that is a link: zip the files themselves")
    if member.flag_bits & 0x1:
        raise BadInputError(f"{name!r} is encrypted: unpack it and attach the folder")
    if member.file_size > max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * member.compress_size):
        raise UnsupportedError(
            f"{name!r} has a member that unpacks to more than {MAX_RATIO} times its size (a zip bomb?): "
            "unpack it yourself and attach the folder"
        )


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1].startswith(".") and parts[-1] != "..")


def _plain_name(number: int, member: zipfile.ZipInfo) -> str:
    base = PurePosixPath(member.filename.replace("\\", "/")).name
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in base)
    return f"{number:06d}-{kept[-80:]}"
