"""From which difference on a structure counts as changed, and who says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.changes import ChangeStatus

LESIONS = ("lesion", "tumor", "tumour", "nodule", "metasta", "mass", "cancer", "lymph_node")
"""Parts of the names of structures that are followed one by one."""
RECIST = "RECIST 1.1 (Eisenhauer et al., Eur J Cancer 45 (2009) 228)"
NODULE = "25 % in volume (BTS guideline on nodules, Callister et al., Thorax 70 (2015) ii1)"
GROWTH_SHARE, GROWTH_MM, SHRINKAGE_SHARE, NODULE_SHARE = 0.20, 5.0, 0.30, 0.25


@dataclass(frozen=True)
class Verdict:
    """Whether a difference counts, from where on it would, and who says so."""

    status: ChangeStatus
    limit: float
    """Least difference that counts, in the quantity's unit, in the direction of this one."""
    rule: str


def is_lesion(target: str) -> bool:
    """Return whether a structure is one that is followed one by one."""
    return any(word in target.lower() for word in LESIONS)


def judged(target: str, quantity: str, pair: tuple[float, float], uncertainties: tuple[float, float]) -> Verdict:
    """Judge a difference.

    Args:
        target: the structure.
        quantity: volume, longest_diameter, mean_intensity, …
        pair: the earlier and the later value.
        uncertainties: ± of both.
    """
    earlier, later = pair
    own = float(np.hypot(*uncertainties))
    if is_lesion(target) and quantity == "longest_diameter":
        if later >= earlier:
            limit = max(GROWTH_SHARE * earlier, GROWTH_MM)
            rule = f"growth by 20 % and 5 mm, {RECIST}"
        else:
            limit, rule = SHRINKAGE_SHARE * earlier, f"shrinkage by 30 %, {RECIST}"
    elif is_lesion(target) and quantity == "volume":
        limit, rule = NODULE_SHARE * earlier, NODULE
    else:
        limit, rule = own, "half a voxel at both boundaries, added in quadrature; no published limit is used"
    if own > limit:
        limit, rule = own, f"half a voxel at both boundaries, which here is more than {rule}"
    return Verdict("changed" if abs(later - earlier) > limit else "unchanged", limit, rule)
