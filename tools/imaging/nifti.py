"""NIfTI in and out: one orientation rule, real millimetres, no silent repair."""

from __future__ import annotations

import errno
import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import numpy as np

from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.free_memory import require_memory
from tools.imaging.reasons import one_line
from tools.imaging.rescale import rescaled
from tools.imaging.volume import ORIENTATION_UNKNOWN, SYNTHETIC_NOTE, Affine, AnyArray, Volume

_NO_SPACING = "readingroom: voxel units, no spacing"
_NO_ORIENTATION = "readingroom: orientation unknown"
_SYNTHETIC = "SYNTHETIC"
"""The header's intent_name of an image that no scanner took."""
_LONGEST_DESCRIPTION = 79  # of NIfTI-1's descrip, with its closing zero
MAX_UNPACKED_BYTES = 8 * 2**30
"""What a .nii.gz may unpack to, as a zip."""
MAX_RATIO = 200
"""Unpacked over packed bytes of a large file; images reach about 10, masks a few hundred."""
RATIO_COUNTS_FROM_BYTES = 2**30
"""Files that unpack to less may compress as well as they like: masks do."""
_MM_PER_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


def read_nifti(path: Path, *, volume_number: int | None = None) -> Volume:
    """Read one 3-D image from a NIfTI file.

    Orientation: the sform where sform_code > 0, else the qform where qform_code > 0; a file with neither is refused,
    because left and right would be a guess. Lengths follow xyzt_units; unknown units are taken as mm, as NIfTI
    software does, and the header says so (UnitsNote). scl_slope and scl_inter are applied. Modality stays unknown.

    Args:
        path: a .nii or .nii.gz file, NIfTI-1 or NIfTI-2.
        volume_number: which volume of a 4-D file, counted from 1.

    Raises:
        BadInputError: damaged file, not-a-number voxels, or an affine that is no image grid.
        UnsupportedError: a .nii.gz that unpacks to too much, 4-D without a choice, RGB, complex, no orientation,
            sheared or contradictory forms.
        UnavailableError: it does not fit into the memory that is free.
        NotFoundError: `volume_number` is beyond the last volume.
    """
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        with _opened(path) as stream:
            header = _header(stream)
            affine, notes = _forms(header, path.name)
            _require_bounded(path, header)
            array = _voxels(stream, header, path.name, volume_number)
    except (ImageFileError, HeaderDataError) as error:
        raise BadInputError(f"{path.name!r} is a damaged NIfTI file ({one_line(error)}): export it again") from error
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise BadInputError(f"{path.name!r} is damaged or cut short ({one_line(error)}): copy it again") from error
    _require_finite(array, path.name)
    return _made(array, affine, notes, header)


def _made(array: AnyArray, affine: Affine, source: dict[str, str], header: Any) -> Volume:
    description = header["descrip"].item().decode("latin-1").strip("\0 ")
    notes = dict(source)
    if description.startswith((_NO_SPACING, _NO_ORIENTATION)):
        notes |= ORIENTATION_UNKNOWN
    if header["intent_name"].item().decode("latin-1").strip("\0 ") == _SYNTHETIC:
        notes |= SYNTHETIC_NOTE
    without_spacing = description.startswith(_NO_SPACING)
    return Volume(array, affine, spacing_source=None if without_spacing else "NIfTI header", header=notes)


def _forms(header: Any, name: str) -> tuple[Affine, dict[str, str]]:
    """Return the affine in mm and what is to be said about it."""
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    if not sform_code and not qform_code:
        raise UnsupportedError(
            f"{name!r} says nothing about orientation (sform_code and qform_code are 0), so left and right are "
            "unknown: convert the original DICOM again, or set the sform"
        )
    affine = np.array(sform if sform_code else qform, dtype=np.float64)
    notes = {"AffineNote": f"sform, code {int(sform_code)}" if sform_code else f"qform, code {int(qform_code)}"}
    _require_grid(affine, header, name)
    if sform_code and qform_code:
        notes |= _compared(affine, np.array(qform), header, name)
    unit = _length_unit(header, name)
    if unit == "unknown":
        notes["UnitsNote"] = "the file names no length unit; mm assumed, as NIfTI software does"
    affine[:3] *= _MM_PER_UNIT[unit]
    return affine, notes


def _length_unit(header: Any, name: str) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError as error:
        raise BadInputError(f"{name!r} has the unknown xyzt_units code {error}: convert the original again") from error


def _require_grid(affine: Affine, header: Any, name: str) -> None:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise BadInputError(f"{name!r} has an affine that cannot be inverted: convert the original again")
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = (affine[:3, :3] / steps).T @ (affine[:3, :3] / steps)
    skew = float(np.abs(cosines - np.eye(3)).max())
    if skew > 0.01:
        raise UnsupportedError(
            f"{name!r} has axes that are not at right angles (off by {np.degrees(np.arcsin(min(skew, 1))):.1f}°, as "
            "with gantry tilt): resample it to a rectangular grid"
        )
    zooms = np.array(header["pixdim"][1:4], dtype=np.float64)
    zooms = np.where(np.array(header["dim"][1:4]) > 1, np.abs(zooms), steps)
    if np.abs(zooms / steps - 1).max() > 0.01:
        raise UnsupportedError(
            f"{name!r} contradicts itself: pixdim gives {np.round(zooms, 4).tolist()}, its affine "
            f"{np.round(steps, 4).tolist()} per voxel: convert the original again"
        )


def _compared(sform: Affine, qform: Affine, header: Any, name: str) -> dict[str, str]:
    """Refuse forms that mirror each other; say by how much they otherwise differ, in voxels."""
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise UnsupportedError(
            f"{name!r} contradicts itself: sform and qform are mirror images, so left and right are uncertain: "
            "convert the original again"
        )
    last = np.array(header["dim"][1:4], dtype=np.float64) - 1
    corners = np.array([[*(last * pick), 1.0] for pick in np.ndindex(2, 2, 2)])
    apart = np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max()
    if apart <= 0.5 * np.linalg.norm(sform[:3, :3], axis=0).min():
        return {}
    return {"FormNote": f"sform used; the qform places the corners up to {apart:.1f} units away"}


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if _is_packed(path) else path.open("rb")


def _is_packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _header(stream: IO[bytes]) -> Any:
    import nibabel as nib

    first = stream.read(4)
    stream.seek(0)
    is_second = first in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
    return (nib.Nifti2Header if is_second else nib.Nifti1Header).from_fileobj(stream)


def _require_bounded(path: Path, header: Any) -> None:
    """Refuse a bomb before a voxel is unpacked; of what the header does not declare nothing is read."""
    declared = header.get_data_offset() + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    packed = path.stat().st_size
    if not _is_packed(path):
        if declared > packed:
            raise BadInputError(
                f"{path.name!r} is damaged or cut short ({packed:,} of {declared:,} bytes are there): copy it again"
            )
        return
    if declared > MAX_UNPACKED_BYTES:
        raise UnsupportedError(
            f"{path.name!r} unpacks to {declared / 2**30:.1f} GiB, more than {MAX_UNPACKED_BYTES / 2**30:.0f}: "
            "crop it, or save one volume of it only"
        )
    if declared > max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * packed):
        raise UnsupportedError(
            f"{path.name!r} unpacks to more than {MAX_RATIO} times its size (a gzip bomb?): unpack it, attach the .nii"
        )


def _voxels(stream: IO[bytes], header: Any, name: str, volume_number: int | None) -> AnyArray:
    """Return the chosen volume, scaled, axes (i, j, k)."""
    from nibabel.arrayproxy import ArrayProxy

    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = header.get_value_label("datatype")
        raise UnsupportedError(f"{name!r} holds colour or complex voxels ({kind}): attach a gray image")
    full = header.get_data_shape()
    shape = full
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 4:
        raise UnsupportedError(f"{name!r} has {len(shape)} dimensions {shape}: attach one 3-D volume")
    if len(shape) < 4 and volume_number not in (None, 1):
        raise NotFoundError(f"{name!r} holds one volume; volume {volume_number} does not exist")
    chosen = [_chosen(shape[3], volume_number, name)] if len(shape) == 4 else []
    slope, intercept = header.get_slope_inter()
    is_scaled = slope not in (None, 0, 1) or intercept not in (None, 0)
    require_memory(math.prod(shape[:3]) * (dtype.itemsize + (4 if is_scaled else 0)), repr(name))
    rest = [0] * (len(full) - len(shape))
    proxy = ArrayProxy(stream, (full, dtype, header.get_data_offset(), 1.0, 0.0))
    stored: AnyArray = np.asarray(proxy[(*(slice(None) for _ in shape[:3]), *chosen, *rest)])
    stored = stored if stored.dtype.isnative else stored.astype(stored.dtype.newbyteorder("="))
    array = rescaled(stored, float(slope or 1), float(intercept or 0))
    return array.reshape(*array.shape, *(1 for _ in range(3 - array.ndim)))


def _chosen(count: int, volume_number: int | None, name: str) -> int:
    if volume_number is None:
        raise UnsupportedError(
            f"{name!r} is 4-D with {count} volumes (time, echoes or directions): choose one as "
            f"{name}#1 to {name}#{count}"
        )
    if not 1 <= volume_number <= count:
        raise NotFoundError(f"{name!r} holds volumes 1 to {count}; volume {volume_number} does not exist")
    return volume_number - 1


def _require_finite(array: AnyArray, name: str) -> None:
    if array.dtype.kind != "f":
        return
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise BadInputError(f"{name!r} has {bad} voxels that are not numbers (NaN or infinite): replace them first")


def looks_like_ct(volume: Volume) -> bool:
    """Say whether the voxel values of a 3-D image look like CT in Hounsfield units.

    A test of content, for files such as NIfTI that do not name their modality. Whoever acts on it says so: it is a
    guess. True when values reach air (at least 1 % of voxels in -1,100 … -700 HU or below, the lowest ≤ -900), soft
    tissue (at least 1 % in -200 … 300 HU) and stay in the range scanners store (-32,768 … 32,767, at most 0.1 %
    above 4,000).

    Args:
        volume: any image; modality is not looked at.
    """
    if volume.dims == 2 or volume.is_colour or volume.array.dtype.kind not in "if":
        return False
    sample = volume.array[::2, ::2, ::2] if min(volume.shape) > 16 else volume.array
    low, high = float(sample.min()), float(sample.max())
    if low > -900 or low < -32768 or high > 32767:
        return False
    air, tissue, beyond = sample <= -700, (sample >= -200) & (sample <= 300), sample > 4000
    return bool(air.mean() >= 0.01 and tissue.mean() >= 0.01 and beyond.mean() <= 0.001)


def write_nifti(path: Path, array: AnyArray, like: Volume, *, said: str = "") -> None:
    """Write a mask or image on exactly the grid of `like`, whole or not at all.

    sform and qform get the affine of `like` (code 1, scanner); bool becomes uint8. Where `like` has no spacing or no
    orientation, the file says so and `read_nifti` believes it.

    Args:
        path: .nii or .nii.gz; its folder exists. An existing file is replaced in one step.
        array: shape of `like`, bool or real numbers.
        like: the image that the array belongs to.
        said: what a reader elsewhere must know, for the description field; cut where it is full.

    Raises:
        ValueError: the shape differs or the numbers do not fit NIfTI.
        UnavailableError: the disk is full or the folder cannot be written; no half file is left.
    """
    import nibabel as nib

    if tuple(array.shape) != like.shape:
        raise ValueError(f"array must have the shape {like.shape} of its image, got {array.shape}")
    image = nib.Nifti1Image(_storable(array), like.affine_ras)
    image.header.set_xyzt_units("mm" if like.spacing_source else "unknown")
    image.set_sform(like.affine_ras, code=1)
    image.set_qform(like.affine_ras, code=1)
    own = _NO_SPACING if like.spacing_source is None else "" if like.orientation_known else _NO_ORIENTATION
    image.header["descrip"] = "; ".join(part for part in (own, said) if part)[:_LONGEST_DESCRIPTION]
    if "SyntheticNote" in like.header and array.dtype != np.bool_:
        image.header["intent_name"] = _SYNTHETIC
    temporary = path.with_name(f".{os.getpid()}-{uuid4().hex[:8]}-{path.name}")
    try:
        nib.save(image, temporary)
        temporary.replace(path)
    except OSError as error:
        raise UnavailableError(_write_failure(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _storable(array: AnyArray) -> AnyArray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype in (np.int64, np.uint64):
        if array.min() < np.iinfo(np.int32).min or array.max() > np.iinfo(np.int32).max:
            raise ValueError("array must fit 32-bit integers, which is what viewers read")
        return array.astype(np.int32)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _write_failure(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full: {path.name!r} was not written; free some space in {path.parent} and try again"
    return f"{path.name!r} was not written ({error.strerror or error}): check that {path.parent} exists and is writable"
