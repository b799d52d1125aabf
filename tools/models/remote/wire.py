"""What travels between Reading Room and a remote model: JSON, with images as gzipped NIfTI in base64.

A request holds pixels, geometry and the verb's arguments; no name, no header, no file name. What comes back is not
trusted: every mask must lie on the image's own grid, every number must be one, every position must be in the image.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from tools.errors import BadInputError, UnavailableError
from tools.imaging.volume import BoolArray, Volume

PROTOCOL: Literal[1] = 1
_HEADER_BYTES = 100_000  # of a NIfTI file with all its extensions; ours has 352
_AFFINE_SLACK_MM = 1e-3  # a NIfTI header keeps single precision

ErrorKind = Literal["bad_input", "unsupported", "unavailable"]
Position = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WireImage(_Wire):
    """An image on its way."""

    nifti: str
    """base64 of a gzipped NIfTI-1 file; colour is a fourth axis of three."""
    modality: str = ""
    body_part: str = ""
    units: str = ""
    """ "HU", or empty."""
    has_spacing: bool = True
    """False: the affine orders the voxels and says nothing of millimetres."""


class WireRequest(_Wire):
    """One call of a model."""

    protocol: Literal[1] = PROTOCOL
    verb: str
    """segment, segment_prompted, classify, detect, ground, landmarks, answer or synthesize."""
    model: str
    image: WireImage | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)


class WireError(_Wire):
    """Why there is no result."""

    kind: ErrorKind = "unavailable"
    message: str = Field(max_length=2000)


class WireScore(_Wire):
    """One label's score."""

    label: Label
    score: FiniteFloat
    operating_point: FiniteFloat | None = None


class WireBox(_Wire):
    """A box in voxel indices."""

    label: Label
    lower: Position
    upper: Position
    score: FiniteFloat | None = None


class WirePoint(_Wire):
    """A point in voxel indices."""

    name: Label
    voxel: Position
    score: FiniteFloat | None = None


class WireResult(_Wire):
    """What a model gave; the verb says which fields are filled."""

    masks: dict[str, str] = Field(default_factory=dict)
    """By target: base64 of a gzipped NIfTI-1 file, 0 and 1, on the image's own grid."""
    scores: tuple[WireScore, ...] | None = None
    boxes: tuple[WireBox, ...] | None = None
    points: tuple[WirePoint, ...] | None = None
    text: str | None = Field(default=None, max_length=100_000)
    image: WireImage | None = None
    notes: tuple[Annotated[str, Field(max_length=1000)], ...] = ()


class WireResponse(_Wire):
    """The answer to a request: a result or an error."""

    protocol: Literal[1]
    version: str = ""
    """Of the model; must be the card's where it is given."""
    result: WireResult | None = None
    error: WireError | None = None


def image_out(volume: Volume) -> WireImage:
    """Return an image as it travels: voxels, affine, and what kind of image it is."""
    return WireImage(
        nifti=_packed(volume.array, volume.affine_ras),
        modality=volume.modality,
        body_part=volume.body_part,
        units=volume.units,
        has_spacing=volume.spacing_source is not None,
    )


def image_in(sent: WireImage, *, max_bytes: int) -> Volume:
    """Return the image that was sent.

    Raises:
        BadInputError: it is no NIfTI image, or larger than `max_bytes` once unpacked.
    """
    array, affine = _unpacked(sent.nifti, max_bytes)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        raise BadInputError(f"an image must have three axes, or a fourth of three colours, got {array.shape}")
    return Volume(
        array,
        affine,
        spacing_source="NIfTI header" if sent.has_spacing else None,
        modality=sent.modality,
        body_part=sent.body_part,
        units=sent.units,
    )


def mask_out(mask: BoolArray, volume: Volume) -> str:
    """Return a mask as it travels."""
    return _packed(mask.astype(np.uint8), volume.affine_ras)


def mask_in(sent: str, volume: Volume, what: str) -> BoolArray:
    """Return a mask after checking that it is one of this image.

    Raises:
        UnavailableError: another shape, another place in space, or values beside 0 and 1.
    """
    try:
        # Eight bytes a voxel is the widest that a mask could have been written in.
        array, affine = _unpacked(sent, _HEADER_BYTES + 8 * int(np.prod(volume.shape)))
    except BadInputError as error:
        raise UnavailableError(f"{what} cannot be read: {error}") from error
    if array.shape != volume.shape:
        raise UnavailableError(f"{what} has the shape {array.shape}, the image has {volume.shape}")
    last = np.array([*(n - 1 for n in volume.shape), 1.0])
    corners = [np.where([*pick, 1], last, [0, 0, 0, 1]) for pick in np.ndindex(2, 2, 2)]
    apart_mm = max(float(np.linalg.norm((affine - volume.affine_ras) @ corner)) for corner in corners)
    if not apart_mm <= _AFFINE_SLACK_MM * max(1.0, float(np.abs(volume.affine_ras).max())):
        raise UnavailableError(f"{what} lies up to {apart_mm:.3g} mm beside the image")
    if not np.isin(array, (0, 1)).all():
        raise UnavailableError(f"{what} must hold 0 and 1 only, its values run from {array.min()} to {array.max()}")
    return np.asarray(array == 1)


def _packed(array: Any, affine: Any) -> str:
    import nibabel as nib

    kept = array.astype(np.uint8) if array.dtype == np.bool_ else array
    if kept.dtype in (np.int64, np.uint64):
        kept = kept.astype(np.float64)  # NIfTI readers of other languages rarely know 64-bit integers
    image = nib.Nifti1Image(kept, affine)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), compresslevel=1)).decode("ascii")


def _unpacked(sent: str, max_bytes: int) -> tuple[Any, Any]:
    """Return voxels and affine; never unpacks more than `max_bytes`."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        packed = base64.b64decode(sent, validate=True)
        inflate = zlib.decompressobj(wbits=31)
        data = inflate.decompress(packed, max_bytes)
        if inflate.unconsumed_tail:
            raise BadInputError(f"it unpacks to more than {max_bytes} bytes")
        image = nib.Nifti1Image.from_bytes(data)
        return np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)
    except (binascii.Error, zlib.error, ImageFileError, HeaderDataError, ValueError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInputError(f"no gzipped NIfTI-1 image in base64 ({reason})") from error
