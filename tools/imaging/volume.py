"""An image whose voxels and geometry never travel apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tools.errors import UnsupportedError

Affine = NDArray[np.float64]
AnyArray = NDArray[Any]
BoolArray = NDArray[np.bool_]

SpacingSource = Literal["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "NIfTI header"]
"""Which header field gave the millimetres. ImagerPixelSpacing lies in the detector plane: lengths are magnified."""

ORIENTATION_UNKNOWN: Mapping[str, str] = MappingProxyType(
    {"OrientationNote": "the image does not say how it lies in the patient; axes are those of the picture"}
)
"""Header entry of an image without a position in the patient; its affine runs to the right and down the picture."""

SYNTHETIC_NOTE: Mapping[str, str] = MappingProxyType({"SyntheticNote": "made by a computer, not by a scanner"})
"""Header entry of an image that no scanner took; kept through NIfTI, and by every image on the same grid."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A 2-D or 3-D image in world space.

    The world is RAS+ everywhere in this code: x grows towards the patient's Right, y towards Anterior, z towards
    Superior, in mm. (DICOM's LPS is converted once, on reading.)

    Without physical spacing (`spacing_source` None) the affine still orders the voxels, in voxel units, and
    `spacing_mm` refuses to answer: no spacing, no millimetres.

    Raises:
        ValueError: array, affine or colour are not what the fields say. Made once, trusted afterwards.
    """

    array: AnyArray
    """Shape (i, j, k), or (i, j, k, 3) uint8 for colour; k = 1 for a 2-D image. Real numbers or bool; read-only."""
    affine_ras: Affine
    """float64 (4, 4): voxel index (i, j, k), 0-based voxel centres, to RAS+ mm. Read-only."""
    spacing_source: SpacingSource | None = None
    """Where the millimetres come from; None when the image has none."""
    modality: str = ""
    """DICOM Modality code (CT, MR, CR, DX, US, …); empty when unknown, as in NIfTI."""
    body_part: str = ""
    """DICOM BodyPartExamined in upper case (CHEST, HEAD, ABDOMEN, …); empty when unknown."""
    units: str = ""
    """What a voxel value means: "HU" for CT rescaled to Hounsfield units, empty for arbitrary intensity."""
    header: Mapping[str, str] = field(default_factory=dict)
    """Acquisition facts by DICOM keyword (ViewPosition, KVP, …). Never identifies the patient. Keys that end in Note
    are our own remarks on how the image was read."""

    def __post_init__(self) -> None:
        array = _checked_array(self.array)
        affine = _checked_affine(self.affine_ras)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "affine_ras", affine)
        object.__setattr__(self, "header", MappingProxyType(dict(self.header)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "header": dict(self.header)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (i, j, k), without the colour axis."""
        i, j, k = self.array.shape[:3]
        return int(i), int(j), int(k)

    @property
    def dims(self) -> Literal[2, 3]:
        """2 for a single image (k = 1), 3 for a volume."""
        return 2 if self.shape[2] == 1 else 3

    @property
    def is_colour(self) -> bool:
        """True for RGB, axes (i, j, k, 3)."""
        return self.array.ndim == 4

    @property
    def orientation_known(self) -> bool:
        """False where the image does not say how it lies in the patient (PNG, JPEG, most radiographs)."""
        return "OrientationNote" not in self.header

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along (i, j, k), in mm; the third is NaN in a 2-D image, which has no depth.

        Raises:
            UnsupportedError: the image has no physical spacing.
        """
        self._require_spacing()
        i, j, k = (float(step) for step in np.linalg.norm(self.affine_ras[:3, :3], axis=0))
        return (i, j, float("nan")) if self.dims == 2 else (i, j, k)

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel of the (i, j) plane, in mm².

        Raises:
            UnsupportedError: the image has no physical spacing.
        """
        self._require_spacing()
        return float(np.linalg.norm(np.cross(self.affine_ras[:3, 0], self.affine_ras[:3, 1])))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, in mm³.

        Raises:
            UnsupportedError: the image has no physical spacing, or is 2-D and so has no depth.
        """
        self._require_spacing()
        if self.dims == 2:
            raise UnsupportedError(
                "a volume in mm³ needs a 3-D image, got a 2-D image: measure its area, or attach the whole series"
            )
        return float(abs(np.linalg.det(self.affine_ras[:3, :3])))

    def with_array(self, array: AnyArray, *, units: str | None = None) -> Volume:
        """Return another array on the same grid: a mask, a smoothed image.

        Args:
            array: shape (i, j, k) of this volume, or (i, j, k, 3) uint8.
            units: what the new values mean; None keeps the old units.

        Raises:
            ValueError: the shape differs.
        """
        if tuple(array.shape[:3]) != self.shape:
            raise ValueError(f"array must have the shape {self.shape} of its image, got {array.shape}")
        return replace(self, array=array, units=self.units if units is None else units)

    def same_grid(self, other: Volume, tolerance: float = 1e-3) -> bool:
        """Say whether the voxels of two volumes lie on the same world points.

        Args:
            other: the volume to compare with.
            tolerance: largest distance of matching voxel centres, in mm (voxels where there is no spacing).
        """
        if self.shape != other.shape:
            return False
        last = np.array(self.shape) - 1
        corners = np.array([[*(last * pick), 1.0] for pick in np.ndindex(2, 2, 2)])
        shift = corners @ (self.affine_ras - other.affine_ras).T
        return bool(np.linalg.norm(shift[:, :3], axis=1).max() <= tolerance)

    def _require_spacing(self) -> None:
        if self.spacing_source is None:
            raise UnsupportedError(
                "this image has no physical spacing: lengths, areas and volumes in mm cannot be measured; "
                "attach the original DICOM or NIfTI"
            )


def _checked_array(array: AnyArray) -> AnyArray:
    """Return a read-only view in native byte order of an array that may be an image."""
    if array.ndim not in (3, 4):
        raise ValueError(f"array must have axes (i, j, k) or (i, j, k, 3), got shape {array.shape}")
    if min(array.shape) < 1:
        raise ValueError(f"array must hold at least one voxel, got shape {array.shape}")
    if array.ndim == 4 and (array.shape[3] != 3 or array.dtype != np.uint8):
        raise ValueError(f"colour must be uint8 with axes (i, j, k, 3), got {array.dtype} {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"array must hold real numbers or bool, got {array.dtype}")
    view = array.view() if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    view.flags.writeable = False
    return view


def _checked_affine(affine: Affine) -> Affine:
    """Return a read-only float64 copy of an affine that can be inverted."""
    copy = np.array(affine, dtype=np.float64)
    if copy.shape != (4, 4):
        raise ValueError(f"affine_ras must be (4, 4), got {copy.shape}")
    if not np.isfinite(copy).all():
        raise ValueError(f"affine_ras must be finite, got {copy.tolist()}")
    if not np.array_equal(copy[3], [0, 0, 0, 1]):
        raise ValueError(f"affine_ras must end with the row 0 0 0 1, got {copy[3].tolist()}")
    steps = np.linalg.norm(copy[:3, :3], axis=0)
    if steps.min() <= 0 or abs(np.linalg.det(copy[:3, :3] / steps)) < 1e-6:
        raise ValueError(f"affine_ras must be invertible, got {copy[:3, :3].tolist()}")
    copy.flags.writeable = False
    return copy
