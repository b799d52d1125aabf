"""Radiomics through `measure` against mirp called directly on the whole image: are the features the same, and how long?

    python benchmarks/radiomics.py

The structure is the spleen of the sample CT, as its reference labels have it. `measure` runs mirp in a process of its
own, the direct call in this one. CPU only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.settings import Settings
from knowledge.assets import Assets
from tools.contract import ToolContext
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.read import read_image
from tools.measuring.radiomics import BIN_HU, FAMILIES, SPACING_MM
from tools.results import Measurements
from tools.verbs.measure import measure
from tools.workspace import Workspace

STRUCTURE = "spleen"
TO_OURS = {"morph_volume": 1e-3, "morph_vol_approx": 1e-3, "morph_area_mesh": 1e-2}
"""mirp's mm³ and mm² in our ml and cm²."""


def main() -> None:
    assets = Assets(Settings().cache_dir)
    image_path, mask_path = (assets.path("chest-ct", f) for f in ("cxr.nii.gz", "mask.nii.gz"))
    with assets.path("chest-ct", "structures.csv").open(encoding="utf-8") as file:
        labels = {row["structure"]: int(row["id"]) for row in csv.DictReader(file)}
    volume = read_image(image_path)
    inside = np.asarray(read_image(mask_path).array == labels[STRUCTURE])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_nifti(folder / "mask.nii.gz", inside, volume)
        ours, our_s = through_measure(folder, image_path)
        theirs, peer_s = directly(image_path, folder / "mask.nii.gz")
    shared = sorted(set(ours) & set(theirs))
    apart = np.array([abs(ours[n] - theirs[n]) / max(abs(theirs[n]), 1e-9) for n in shared])
    table = Table("", "features", "seconds")
    table.add_row("measure", str(len(ours)), f"{our_s:.1f}")
    table.add_row("mirp directly", str(len(theirs)), f"{peer_s:.1f}")
    Console().print(table)
    worst = shared[int(apart.argmax())]
    print(
        f"{len(shared)} features in both; median difference {np.median(apart):.1e}, largest {apart.max():.1e} ({worst})"
    )
    print(f"seconds ÷ mirp directly: {our_s / peer_s:.2f}")


def through_measure(folder: Path, image: Path) -> tuple[dict[str, float], float]:
    workspace = Workspace(folder / "reading")
    facts = AttachmentFacts(id="img1", modality="CT", modality_source="voxel values", dims=3, has_spacing=True)
    workspace.add_attachment(image, facts)
    mask = AttachmentFacts(id="mask1", kind="mask", dims=3, of="img1", label=STRUCTURE)
    workspace.add_attachment(folder / "mask.nii.gz", mask)
    ctx: Any = ToolContext(workspace=workspace, step_id="s1", hub=None, open_knowledge=None, open_llm=None)  # type: ignore[arg-type]
    started = time.perf_counter()
    found = measure(ctx, mask="mask1", quantities=["radiomics"])
    seconds = time.perf_counter() - started
    rows = Measurements.model_validate(found.model_dump()).rows
    return {row.quantity.removeprefix("ibsi_"): row.value for row in rows}, seconds


def directly(image: Path, mask: Path) -> tuple[dict[str, float], float]:
    from mirp import extract_features

    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        (table,) = extract_features(
            image=str(image), mask=str(mask), image_modality="ct", by_slice=False, new_spacing=SPACING_MM,
            base_feature_families=list(FAMILIES), base_discretisation_method="fixed_bin_size",
            base_discretisation_bin_width=BIN_HU,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    first = list(table.columns).index("image_mask_adapt_size") + 1
    row = {
        n: float(table[n].iloc[0]) * TO_OURS.get(n, 1.0) for n in table.columns[first:] if table[n].iloc[0] is not None
    }
    return row, seconds


if __name__ == "__main__":
    main()
