"""One door for every image a person brings: told by content, read with its geometry, or refused with the reason."""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tools.errors import BadInputError, NotFoundError
from tools.imaging.archive import extract_zip
from tools.imaging.dicom import find_dicom_files, frame_count, is_bare_dicom
from tools.imaging.frames import frame_order, is_enhanced, read_frames
from tools.imaging.geometry import describe_geometry
from tools.imaging.nifti import looks_like_ct, read_nifti, write_nifti
from tools.imaging.raster import read_raster
from tools.imaging.reasons import one_line
from tools.imaging.series import DicomFile, Series, SeriesInfo, Study, choose_series, find_series, studies_of
from tools.imaging.stack import read_slices, slice_grid
from tools.imaging.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "SeriesInfo",
    "Study",
    "describe_geometry",
    "dicom_files",
    "dicom_headers",
    "image_kind",
    "list_series",
    "looks_like_ct",
    "read_image",
    "read_nifti",
    "series_files",
    "slice_places",
    "studies_of",
    "write_nifti",
]

_OTHER_FORMATS = (
    (b"%PDF", "a PDF"), (b"GIF8", "a GIF picture"), (b"BM", "a BMP picture"), (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"), (b"NRRD", "an NRRD image"), (b"ObjectType", "a MetaImage header"),
    (b"\x89HDF", "an HDF5 file"), (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"RIFF", "a RIFF file"),
)  # fmt: skip


def read_image(path: Path, *, series: str | None = None) -> Volume:
    """Read an image with its geometry; the kind of file is told by content, not by name.

    Args:
        path: a NIfTI file, a DICOM file, a folder or zip of DICOM, a PNG or a JPEG.
        series: which one of several: number in `list_series` or SeriesInstanceUID; for a 4-D NIfTI the volume
            number, from 1.

    Returns:
        The volume. One DICOM file of a series is a 2-D image.

    Raises:
        NotFoundError: nothing at `path`, an empty folder, or no such series.
        BadInputError: damaged, or not what its name says.
        UnsupportedError: an object that is no image, or no regular grid of voxels; says why.
        SeriesChoiceError: several series and no choice.
    """
    kind = _kind(path)
    if kind == "raster":
        _require_no_choice(series, path)
        return read_raster(path)
    if kind == "nifti":
        return read_nifti(path, volume_number=_volume_number(series))
    with _dicom_series(path, kind) as found:
        chosen = choose_series(found, series, path.name)
        return _read_series(chosen)


def list_series(path: Path) -> tuple[SeriesInfo, ...]:
    """Return the image series of a file, folder or zip, in the order in which their numbers select them.

    Raises:
        NotFoundError, BadInputError, UnsupportedError: as `read_image`.
    """
    kind = _kind(path)
    if kind in ("raster", "nifti"):
        return (SeriesInfo(uid="", number=1, description="", modality="", body_part="", images=1),)
    with _dicom_series(path, kind) as found:
        return tuple(series.info for series in found)


def series_files(path: Path, series: str | None = None) -> tuple[Path, ...]:
    """Return the files of the chosen series of a folder, so that nothing else in it need be copied.

    Raises:
        NotFoundError, BadInputError, UnsupportedError, SeriesChoiceError: as `read_image`.
    """
    with _dicom_series(path, "folder") as found:
        return tuple(file.path for file in choose_series(found, series, path.name).files)


def dicom_headers(path: Path, series: str | None = None) -> tuple[tuple[Dataset, ...], tuple[int, ...]]:
    """Return the headers that an image was read from, and where its slices lie in them.

    Args:
        path: as in `read_image`.
        series: as in `read_image`.

    Returns:
        Headers without pixels: one a slice, in slice order, or one for a multi-frame image; and the frame number
        (from 0) of each slice. Both empty where the image is no DICOM.

    Raises:
        NotFoundError, BadInputError, UnsupportedError, SeriesChoiceError: as `read_image`.
    """
    if image_kind(path) != "dicom":
        return (), ()
    with dicom_files(path, series) as files:
        places = slice_places(files)
        if is_enhanced(files[0].dataset):
            return (files[0].dataset,), tuple(frame for _, frame in places)
        return tuple(files[index].dataset for index, _ in places), tuple(range(len(places)))


def slice_places(files: Sequence[DicomFile]) -> tuple[tuple[int, int], ...]:
    """Return where each slice of a volume lies in the files of its series: (index of the file, frame from 0).

    Raises:
        BadInputError, UnsupportedError: as `read_image`.
    """
    first = files[0]
    if is_enhanced(first.dataset):
        return tuple((0, frame) for frame in frame_order(first))
    if len(files) == 1 and (count := frame_count(first.dataset, first.path.name)) > 1:
        return tuple((0, frame) for frame in range(count))
    return tuple((index, 0) for index in slice_grid(files).order)


def image_kind(path: Path) -> Literal["dicom", "nifti", "raster"]:
    """Return what a file, folder or archive holds, by content.

    Raises:
        NotFoundError, BadInputError: as `read_image`.
    """
    kind = _kind(path)
    return "nifti" if kind == "nifti" else "raster" if kind == "raster" else "dicom"


@contextmanager
def dicom_files(path: Path, series: str | None = None) -> Iterator[tuple[DicomFile, ...]]:
    """Lend the files of one DICOM series, with their headers; those of an archive exist for as long.

    Raises:
        NotFoundError, BadInputError, UnsupportedError, SeriesChoiceError: as `read_image`.
    """
    with _dicom_series(path, _kind(path)) as found:
        yield choose_series(found, series, path.name).files


@contextmanager
def _dicom_series(path: Path, kind: str) -> Iterator[tuple[Series, ...]]:
    """Lend the series of a DICOM file, folder or zip; a zip is unpacked for as long."""
    if kind == "dicom":
        yield find_series([path], path.name)
    elif kind == "folder":
        yield find_series(find_dicom_files(path), path.name)
    else:
        with tempfile.TemporaryDirectory(prefix="readingroom-") as folder:
            unpacked = Path(folder) / path.stem
            unpacked.mkdir()
            extract_zip(path, unpacked)
            yield find_series(find_dicom_files(unpacked), path.name)


def _read_series(series: Series) -> Volume:
    first = series.files[0]
    if is_enhanced(first.dataset) or series.info.images > len(series.files):
        return read_frames(first)
    return read_slices(series.files)


def _kind(path: Path) -> str:
    """Return "folder", "dicom", "zip", "nifti" or "raster".

    Raises:
        NotFoundError: nothing there.
        BadInputError: something else, or empty.
    """
    try:
        if not path.exists():
            raise NotFoundError(f"{path.name!r} does not exist: check the path ({path})")
        if path.is_dir():
            return "folder"
        if not path.is_file():
            raise BadInputError(f"{path.name!r} is a device or pipe, not a file: attach an image file")
        with path.open("rb") as stream:
            start = stream.read(352)
    except OSError as error:
        raise BadInputError(
            f"{path.name!r} cannot be read ({error.strerror or error}): check its permissions"
        ) from error
    if not start:
        raise BadInputError(f"{path.name!r} is empty (0 bytes): send it again")
    if start[128:132] == b"DICM" or is_bare_dicom(start):
        return "dicom"
    if start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return "raster"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    inside = _unzipped_start(path) if start.startswith(b"\x1f\x8b") else start
    if _is_nifti(inside):
        return "nifti"
    raise BadInputError(_not_readable(path, start, inside))


def _unzipped_start(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(552)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path.name!r} is a damaged gzip file ({one_line(error)}): send it again") from error


def _is_nifti(start: bytes) -> bool:
    return start[344:348] == b"n+1\0" or start[4:8] == b"n+2\0"


def _not_readable(path: Path, start: bytes, inside: bytes) -> str:
    readable = "NIfTI, DICOM (file, folder or zip), PNG and JPEG are read"
    suffix = path.suffix.lower()
    if inside[344:348] == b"ni1\0" or inside[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return f"{path.name!r} is an Analyze or two-file NIfTI header: convert it to one .nii.gz file"
    what = next((name for magic, name in _OTHER_FORMATS if start.startswith(magic)), "")
    if not what:
        what = "text" if _is_text(start) else "of an unknown kind"
    for suffixes, name in (((".dcm", ".dicom"), "DICOM"), ((".nii",), "NIfTI"), ((".png",), "PNG"), ((".zip",), "zip")):
        if suffix in suffixes or (name == "NIfTI" and path.name.lower().endswith(".nii.gz")):
            return f"{path.name!r} is named {suffix} but is not {name} (it is {what}): {readable}"
    return f"{path.name!r} is {what}, which is no image we read: {readable}"


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _volume_number(series: str | None) -> int | None:
    if series is None:
        return None
    if not series.isdigit():
        raise BadInputError(f"series of a NIfTI file must be a volume number from 1, got {series!r}")
    return int(series)


def _require_no_choice(series: str | None, path: Path) -> None:
    if series not in (None, "1"):
        raise NotFoundError(f"{path.name!r} is one picture; series {series!r} does not exist")
