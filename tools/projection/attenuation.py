"""Hounsfield units to linear attenuation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import AnyArray

WATER_PER_MM = 0.01837
"""Linear attenuation of water at 80 keV, 1/mm: mass attenuation 0.1837 cm²/g at 1 g/cm³, NIST Standard Reference
Database 126 (Hubbell and Seltzer 1995, NISTIR 5632), water, liquid. 80 keV lies near the mean energy of a 120 kVp CT
beam, at which the Hounsfield scale was made."""
AIR_HU = -1000.0


def attenuation_per_mm(hu: AnyArray) -> NDArray[np.float32]:
    """Return linear attenuation, 1/mm, float32: μ = μ_water (1 + HU ÷ 1000), nothing below air.

    The definition of the Hounsfield scale turned round. It holds for soft tissue at any energy; bone attenuates more at
    the lower energies of a film, so that ribs come out paler here than on a film.
    """
    scaled = np.maximum(np.asarray(hu, np.float32), AIR_HU)
    return np.asarray(WATER_PER_MM * (1 + scaled / 1000), np.float32)
