"""Masks of the sample CT and the sample MR beside their references: Dice, volume, seconds, memory, as ratios to limits.

    python benchmarks/segment.py

The references are the TotalSegmentator labels that come with the CT, and the tissue probabilities that come with the MR
template. The peer is a plain threshold with connected components, in the same run. Each method runs in a process of
its own with its libraries and the image loaded; MB is how far its memory rises above that, and "memory ÷ image" counts
the image too. CPU only; Linux. "÷ limit" is 1 where a limit is just met.
"""

from __future__ import annotations

import csv
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.settings import Settings
from knowledge.assets import Assets
from tools.imaging.read import read_image
from tools.imaging.volume import BoolArray, Volume

LUNG_LIMITS = {"dice": 0.975, "volume": 0.03, "seconds": 4.0, "memory": 3.0}
SKELETON = ("vertebrae_", "sacrum", "rib_", "sternum", "scapula_", "clavicula_", "humerus_", "femur_", "hip_", "skull")

Method = Callable[[Volume], dict[str, BoolArray]]


def by_our_runtime(*targets: str) -> Method:
    from tools.models.hub import Hub

    def run(volume: Volume) -> dict[str, BoolArray]:
        hub = Hub.installed()
        card = next(c for c in hub.cards if all(map(c.serves, targets)) and hub.status(c).state == "ready")
        return dict(hub.runtime(card).segment(volume, targets, lambda done, what: None).masks)

    return run


def by_plain_threshold(volume: Volume) -> dict[str, BoolArray]:
    """The peer: the two largest pieces of air that do not touch the picture's corner."""
    import cc3d

    labels = cc3d.connected_components(np.asarray(volume.array < -400), connectivity=6)
    counts = np.bincount(labels.ravel())
    counts[[0, labels[0, 0, 0]]] = 0
    return {"lungs": np.asarray(labels == int(counts.argmax()))}


METHODS: dict[str, tuple[str, Method]] = {
    "lungs": ("ct", by_our_runtime("lungs")),
    "lungs, plain threshold": ("ct", by_plain_threshold),
    "left and right lung": ("ct", by_our_runtime("lung_left", "lung_right")),
    "trachea": ("ct", by_our_runtime("trachea")),
    "body": ("ct", by_our_runtime("body")),
    "bones": ("ct", by_our_runtime("bones")),
    "brain (deepbet)": ("mr", by_our_runtime("brain")),
}


def measured(name: str, folder: Path) -> None:
    """Run one method here and leave its masks and figures in the folder."""
    image, method = METHODS[name]
    data = np.load(folder / f"{image}.npy", mmap_mode=None)
    affine = np.load(folder / f"{image}-affine.npy")
    facts = {"modality": "CT", "units": "HU"} if image == "ct" else {"modality": "MR"}
    volume = Volume(data, affine, spacing_source="NIfTI header", **facts)  # type: ignore[arg-type]
    for library in (
        "cc3d",
        "fill_voids",
        "scipy.ndimage",
        "tools.models.hub",
        *(("torch", "deepbet") if image == "mr" else ()),
    ):
        importlib.import_module(library)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: the peak starts again from here
    before = resident_mb("VmRSS")
    began, began_cpu = time.perf_counter(), time.process_time()
    masks = method(volume)
    figures = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - began_cpu}
    figures["mb"] = resident_mb("VmHWM") - before
    figures["memory"] = (figures["mb"] + data.nbytes / 1e6) / (data.nbytes / 1e6)
    np.savez_compressed(folder / "masks.npz", **masks)  # type: ignore[arg-type]
    (folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")


def resident_mb(field: str) -> float:
    """Return a field of /proc/self/status in MB: VmRSS now, VmHWM at its peak."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(f"{field}:")).split()[1]) * 1024 / 1e6


def references(assets: Assets) -> dict[str, BoolArray]:
    """Return what the samples say themselves."""
    labels = read_image(assets.path("chest-ct", "mask.nii.gz")).array
    with assets.path("chest-ct", "structures.csv").open(encoding="utf-8") as stream:
        names = {int(row["id"]): row["structure"] for row in csv.DictReader(stream)}

    def having(test: Callable[[str], bool]) -> BoolArray:
        return np.isin(labels, [number for number, name in names.items() if test(name)])

    tissue = sum(read_image(assets.path("brain-t1", m)).array.astype(np.float32) for m in ("gm.nii.gz", "wm.nii.gz"))
    return {
        "lungs": having(lambda name: name.startswith("lung_")),
        "lung_left": having(lambda name: name.startswith("lung_") and name.endswith("left")),
        "lung_right": having(lambda name: name.startswith("lung_") and name.endswith("right")),
        "trachea": having(lambda name: name == "trachea"),
        "bones": having(lambda name: name.startswith(SKELETON)),
        "body": np.asarray(labels > 0),
        "brain": np.asarray(tissue > 127),
    }


def row_of(name: str, target: str, found: BoolArray, reference: BoolArray, figures: dict[str, float]) -> list[str]:
    both = np.count_nonzero(found & reference)
    dice = 2 * both / (np.count_nonzero(found) + np.count_nonzero(reference))
    volume = np.count_nonzero(found) / np.count_nonzero(reference)
    covered = both / np.count_nonzero(reference)
    cells = [name, target, f"{dice:.4f}", f"{volume:.3f}", f"{covered:.4f}"]
    cells += [f"{figures[figure]:.1f}" for figure in ("seconds", "cpu_seconds")]
    cells += [f"{figures['mb']:.0f}", f"{figures['memory']:.1f}"]
    if name != "lungs":
        return [*cells, ""]
    limits = LUNG_LIMITS
    shares = {
        "error": (1 - dice) / (1 - limits["dice"]),
        "volume": abs(volume - 1) / limits["volume"],
        "seconds": figures["seconds"] / limits["seconds"],
        "memory": figures["memory"] / limits["memory"],
    }
    return [*cells, ", ".join(f"{what} {share:.2f}" for what, share in shares.items())]


def main() -> None:
    """Measure every method and print the table."""
    if len(sys.argv) == 3:
        measured(sys.argv[1], Path(sys.argv[2]))
        return
    assets = Assets(Settings().cache_dir)
    columns = ("method", "target", "Dice", "volume ÷ ref.", "ref. covered", "s", "CPU s", "MB", "memory ÷ image")
    table = Table(*columns, "÷ limit")
    truth = references(assets)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for image, asset, member in (("ct", "chest-ct", "cxr.nii.gz"), ("mr", "brain-t1", "t1.nii.gz")):
            volume = replace(read_image(assets.path(asset, member)))
            np.save(folder / f"{image}.npy", volume.array)
            np.save(folder / f"{image}-affine.npy", volume.affine_ras)
        for name in METHODS:
            subprocess.run([sys.executable, __file__, name, str(folder)], check=True)
            figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
            with np.load(folder / "masks.npz") as masks:
                for target in masks.files:
                    table.add_row(*row_of(name, target, masks[target], truth[target], figures))
    Console().print(table)


if __name__ == "__main__":
    main()
