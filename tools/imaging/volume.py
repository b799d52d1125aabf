"""An image whose voxels and geometry never travel apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
AnyArray = NDArray[Any]
BoolArray = NDArray[np.bool_]

SpacingSource = Literal["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "NIfTI header", "PNG pHYs"]
"""Which header field gave the millimetres. ImagerPixelSpacing lies in the detector plane: lengths are magnified."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A 2-D or 3-D image in world space.

    The frame is RAS+ everywhere in this code (x to the patient's right → left is negative x … towards Right, Anterior,
    Superior, in mm), as NIfTI has it; DICOM's LPS is converted once, on reading.

    Without physical spacing (`spacing_source` None) the affine still orders and orients the voxels, in voxel units, and
    `spacing_mm` refuses to answer: no spacing, no millimetres.
    """

    array: AnyArray
    """Shape (i, j, k), or (i, j, k, 3) uint8 for colour; k = 1 for a 2-D image. Read-only."""
    affine_ras: Affine
    """float64 (4, 4): voxel index (i, j, k), 0-based voxel centres, to RAS+ mm."""
    spacing_source: SpacingSource | None = None
    """Where the millimetres come from; None when the image has none."""
    modality: str = ""
    """DICOM Modality code (CT, MR, CR, DX, US, …); empty when unknown, as in NIfTI."""
    body_part: str = ""
    """DICOM BodyPartExamined in upper case (CHEST, HEAD, ABDOMEN, …); empty when unknown."""
    units: str = ""
    """What a voxel value means: "HU" for CT rescaled to Hounsfield units, empty for arbitrary intensity."""
    header: Mapping[str, str] = field(default_factory=dict)
    """Acquisition facts by DICOM keyword (ViewPosition, KVP, …). Never identifies the patient."""
