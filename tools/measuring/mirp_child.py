"""The child process that runs mirp: `python -m tools.measuring.mirp_child FOLDER`; see radiomics.py."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from tools.claims import RADIOMICS

_UNSTABLE = ("morph_moran_i", "morph_geary_c")
"""On large structures mirp estimates these from a random sample, so that two runs differ."""


def main(folder: Path) -> None:
    """Compute the features of image.nii inside each mask-N.nii and write them to features.json, in the masks' order."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    count = len(list(folder.glob("mask-*.nii")))
    found = [_features(folder / "image.nii", folder / f"mask-{number}.nii", settings) for number in range(count)]
    (folder / "features.json").write_text(json.dumps(found), encoding="utf-8")


def _features(image: Path, mask: Path, settings: dict[str, Any]) -> dict[str, float]:
    from mirp import extract_features

    if settings["is_ct"]:
        binning = {
            "base_discretisation_method": "fixed_bin_size",
            "base_discretisation_bin_width": settings["bin_hu"],
        }
    else:
        binning = {"base_discretisation_method": "fixed_bin_number", "base_discretisation_n_bins": settings["bins"]}
    (table,) = extract_features(
        image=str(image),
        mask=str(mask),
        image_modality="ct" if settings["is_ct"] else "generic",
        by_slice=False,
        new_spacing=settings["spacing_mm"],
        base_feature_families=settings["families"],
        **binning,
    )
    first = list(table.columns).index("image_mask_adapt_size") + 1
    found = {}
    for name in table.columns[first:]:
        value = table[name].iloc[0]
        if name not in _UNSTABLE and value is not None and math.isfinite(float(value)):
            found[f"{RADIOMICS}{name}"] = float(value)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
