"""Intensities inside outlined structures: statistics, and shares by Hounsfield class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import BadInputError, UnsupportedError
from tools.measuring.boundary import METHOD
from tools.measuring.structure import Structure, Uncertainty

if TYPE_CHECKING:
    from tools.imaging.volume import AnyArray
    from tools.results import Measurement


@dataclass(frozen=True)
class HuClass:
    """A share of voxels whose density lies in [low, high)."""

    quantity: str
    low_hu: float
    high_hu: float
    source: str


_AERATION = "Gattinoni et al., Am J Respir Crit Care Med 164 (2001) 1701"
LUNG_CLASSES = (
    HuClass("emphysema_index", -np.inf, -950, "Gevenois et al., Am J Respir Crit Care Med 154 (1996) 187"),
    HuClass("overinflated_fraction", -1000, -900, _AERATION),
    HuClass("aerated_fraction", -900, -500, _AERATION),
    HuClass("poorly_aerated_fraction", -500, -100, _AERATION),
    HuClass("nonaerated_fraction", -100, 100, _AERATION),
)
"""For lungs. The emphysema index is the share of voxels below −950 HU, meant for thin slices at full inspiration."""

TISSUE_CLASSES = (
    HuClass("fat_fraction", -190, -29, "Yoshizumi et al., Radiology 211 (1999) 283, range as used since: −190 to −30"),
    HuClass("muscle_density_fraction", -29, 151, "Aubrey et al., Acta Physiol 210 (2014) 489: −29 to 150"),
)
"""For everything else. A class is a range of density, not a tissue: vessels and organs lie in that of muscle."""

CLASSES: Mapping[str, tuple[HuClass, ...]] = MappingProxyType({"lung": LUNG_CLASSES, "other": TISSUE_CLASSES})


def intensity(structure: Structure, notes: list[str]) -> list[Measurement]:
    """Measure mean, standard deviation and percentiles over all voxels inside."""
    values = values_inside(structure)
    low, median, high = (float(v) for v in np.percentile(values, (5, 50, 95)))
    unit, method = structure.volume.units, "over all voxels inside"
    mean = float(values.mean(dtype=np.float64))
    shift = Uncertainty(structure.boundary.mean_shift(structure.volume.array), METHOD)
    return [
        structure.row("mean_intensity", mean, unit, method, shift),
        structure.row("sd_intensity", float(values.std(dtype=np.float64)), unit, f"population, {method}"),
        structure.row("median_intensity", median, unit, method),
        structure.row("min_intensity", float(values.min()), unit, method),
        structure.row("max_intensity", float(values.max()), unit, method),
        structure.row("p5_intensity", low, unit, method),
        structure.row("p95_intensity", high, unit, method),
    ]


def hu_classes(structure: Structure, notes: list[str]) -> list[Measurement]:
    """Measure which share of a structure lies in each class of density, in percent of its voxels."""
    if structure.volume.units != "HU":
        raise UnsupportedError(
            f"density classes are ranges of Hounsfield units, which only CT has; {structure.image} is "
            f"{structure.volume.modality or 'of unknown modality'}: measure intensity instead"
        )
    values = values_inside(structure)
    is_lung = "lung" in structure.target or structure.target == "airways"
    rows = []
    for kind in CLASSES["lung" if is_lung else "other"]:
        share = 100 * float(np.count_nonzero((values >= kind.low_hu) & (values < kind.high_hu))) / values.size
        span = f"below {kind.high_hu:g} HU" if kind.low_hu == -np.inf else f"{kind.low_hu:g} to {kind.high_hu:g} HU"
        rows.append(structure.row(kind.quantity, share, "%", f"share of voxels {span} ({kind.source})"))
    if is_lung:
        notes.append(
            "the emphysema index is meant for thin slices (about 1 mm) at full inspiration with a smooth kernel; "
            "noise, a sharp kernel or thick slices change it"
        )
    return rows


def values_inside(structure: Structure) -> AnyArray:
    """Return the values of the voxels inside.

    Raises:
        UnsupportedError: the image is in colour.
        BadInputError: a value is not a number.
    """
    if structure.volume.is_colour:
        raise UnsupportedError("a colour image has no single intensity per pixel")
    values = structure.volume.array[structure.inside]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInputError(f"image: {structure.image} holds voxels inside {structure.target} that are not numbers")
    return values
