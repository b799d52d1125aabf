"""Weights out of a zip: nothing outside its folder, nothing larger than it says, no links."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from tools.errors import BadInputError, UnavailableError

MAX_FILES = 20_000  # an nnU-Net folder with five folds has under a hundred
MAX_RATIO = 200  # weights hardly shrink; text of a configuration shrinks to a tenth
_SMALL_BYTES = 50_000_000  # below this a high ratio does no harm
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into a new folder; a sole top folder is left out.

    Raises:
        BadInputError: it is no zip, or holds what an archive of weights does not.
        UnavailableError: the disk does not hold it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir()]
            names = [_safe_name(m, archive.name) for m in members]
            _require_sane_size(members, archive)
            free = shutil.disk_usage(archive.parent).free
            needed = sum(m.file_size for m in members)
            if needed > free:
                raise UnavailableError(
                    f"{archive.name} unpacks to {needed / 1e6:.0f} MB, the disk has {free / 1e6:.0f} MB free"
                )
            top = _sole_top(names)
            for member, name in zip(members, names, strict=True):
                _extract(opened, member, folder / name.relative_to(top))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise BadInputError(f"{archive.name} is no zip that can be read ({error}); fetch or make it again") from error


def _safe_name(member: zipfile.ZipInfo, archive: str) -> PurePosixPath:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or (name.parts and ":" in name.parts[0]) or not name.parts:
        raise BadInputError(f"{archive} holds {member.filename!r}, which lies outside its own folder: it is refused")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInputError(f"{archive} holds the link {member.filename!r}: weights are plain files; it is refused")
    if member.flag_bits & 1:
        raise BadInputError(f"{archive} is encrypted: unpack it yourself and give the folder with '--from FOLDER'")
    return name


def _require_sane_size(members: list[zipfile.ZipInfo], archive: Path) -> None:
    if not members:
        raise BadInputError(f"{archive.name} holds no file")
    if len(members) > MAX_FILES:
        raise BadInputError(f"{archive.name} holds {len(members)} files, more than {MAX_FILES}: it is refused")
    unpacked, packed = sum(m.file_size for m in members), max(1, archive.stat().st_size)
    if unpacked > _SMALL_BYTES and unpacked / packed > MAX_RATIO:
        raise BadInputError(
            f"{archive.name} would grow from {packed / 1e6:.1f} to {unpacked / 1e6:.0f} MB, as no weights do: it is "
            "refused"
        )


def _sole_top(names: list[PurePosixPath]) -> PurePosixPath:
    tops = {name.parts[0] for name in names}
    return (
        PurePosixPath(tops.pop()) if len(tops) == 1 and all(len(name.parts) > 1 for name in names) else PurePosixPath()
    )


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, target.open("xb") as out:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > member.file_size:
                raise BadInputError(f"{member.filename} is larger than its archive says: it is refused")
            out.write(chunk)
